"""Tests of the whole tile through its ports."""
