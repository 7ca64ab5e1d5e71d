"""RTL of the processing-in-memory tile in Amaranth, and the parameters that size it."""
