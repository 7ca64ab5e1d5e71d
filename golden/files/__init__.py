"""Files: reading those that may come from strangers, and writing folders whole or not at all."""
