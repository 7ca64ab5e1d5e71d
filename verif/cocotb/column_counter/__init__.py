"""Column counter."""
