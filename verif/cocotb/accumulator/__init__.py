"""Tests of the accumulator."""
