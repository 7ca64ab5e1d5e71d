"""The tile in Amaranth, and the parameters that everything else asks for its sizes."""
