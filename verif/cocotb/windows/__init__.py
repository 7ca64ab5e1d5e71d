"""Jobs of any kind with every net counted."""
