"""Tests of the shift-add."""
