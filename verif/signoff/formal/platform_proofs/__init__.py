"""Proofs of what stands around the tiles."""
