"""Tests of the weight path."""
