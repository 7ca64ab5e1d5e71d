"""The tile's work as operands: jobs, beats, bit planes, and the toggles that follow from them."""
