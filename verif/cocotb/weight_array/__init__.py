"""Weight array."""
