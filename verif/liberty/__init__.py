"""Cell libraries: reads liberty files into cells, functions and tables."""
