"""Blocks around the tiles of a platform."""
