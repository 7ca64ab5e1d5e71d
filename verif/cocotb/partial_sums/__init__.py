"""Tests of the partial sum buffer."""
