"""Tests of the plane memory."""
