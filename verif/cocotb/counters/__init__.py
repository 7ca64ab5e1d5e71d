"""Tests of the performance counters."""
