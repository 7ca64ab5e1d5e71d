"""The shift-add: fusing columns, accumulating planes and row blocks."""
