"""Partial sum buffer."""
