"""Files: reading those that may come from strangers, and writing whole or not at all."""
