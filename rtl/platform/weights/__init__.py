"""Way of weights from the bus to the tile."""
