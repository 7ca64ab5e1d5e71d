"""Tests of maximum pooling."""
