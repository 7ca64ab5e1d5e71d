"""Blocks around the tiles of a platform: so far plane tile, requantizer and maximum pooling."""
