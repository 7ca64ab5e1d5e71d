"""Tests of the fuser."""
