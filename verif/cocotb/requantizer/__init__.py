"""Tests of the requantizer."""
