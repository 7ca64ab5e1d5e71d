"""Jobs that were written down: cases to be made small, or to be replayed."""
