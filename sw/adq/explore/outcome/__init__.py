"""Results of an exploration: kept, averaged, compared, in tables and figures."""
