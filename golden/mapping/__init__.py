"""Mapping of layers onto a tile: vectors, blocks, utilization."""
