"""Operands of the tile: jobs, beats and bit planes, and the toggles that follow from them."""
