"""Tests of the accumulator memory."""
