"""Cell libraries: liberty files read into cells, functions, and tables."""
