"""The whole tile."""
