"""Tests of the plane aligner."""
