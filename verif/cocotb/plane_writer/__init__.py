"""Tests of the plane writer."""
