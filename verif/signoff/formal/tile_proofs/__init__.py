"""Proofs of the tile and its blocks."""
