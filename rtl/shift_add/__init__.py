"""Shift-add: fuses columns, and accumulates planes and row blocks."""
