"""Tests of the walker."""
