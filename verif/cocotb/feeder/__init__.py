"""Bit-plane feeder."""
