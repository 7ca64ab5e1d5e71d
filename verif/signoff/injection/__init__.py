"""Injection of faults: what becomes of a bit that flips while the tile runs."""
