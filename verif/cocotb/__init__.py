"""Benches and tests, a folder a block."""
