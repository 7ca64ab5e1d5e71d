"""Fuser."""
