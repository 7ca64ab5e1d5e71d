"""Golden vectors: the integer network, its artifacts, and its mapping onto the tile."""
