"""The tile in a library's cells: simulated, every net's value kept, and what switching costs."""
