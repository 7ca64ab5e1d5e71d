"""Activity counting, on a design small enough to count by hand."""
