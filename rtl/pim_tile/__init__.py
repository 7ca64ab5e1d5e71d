"""Array of the tile: weight storage, column counters, bit-plane feeder and control."""
