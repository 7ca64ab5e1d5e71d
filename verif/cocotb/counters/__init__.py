"""Performance counters."""
