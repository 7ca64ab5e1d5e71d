"""Structural coverage of the design."""
