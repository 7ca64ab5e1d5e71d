"""Shift-add."""
