"""The whole tile, through its ports."""
