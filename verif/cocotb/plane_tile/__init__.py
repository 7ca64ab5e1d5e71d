"""Tests of the plane tile."""
