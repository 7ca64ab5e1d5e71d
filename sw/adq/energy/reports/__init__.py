"""Energy of networks in tables and figures, beside published silicon."""
