"""Tests of the column counter."""
