"""Planes of a layer: the memory that holds them, where they lie, and what is taken out of it."""
