"""Blocks at gate level: their netlists replay what their ports did in the RTL."""
