"""Accumulator."""
