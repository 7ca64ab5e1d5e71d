"""Grid of tiles: units, what each does of a layer, and the streams from and to all of them."""
