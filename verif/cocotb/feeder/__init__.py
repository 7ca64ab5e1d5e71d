"""Tests of the bit-plane feeder."""
