"""Tests of the weight array."""
