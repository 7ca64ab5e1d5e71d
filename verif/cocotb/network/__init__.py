"""Whole networks on the tile, from a golden artifact."""
