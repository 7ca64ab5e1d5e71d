"""Energy from what simulation counted."""
