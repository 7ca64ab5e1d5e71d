"""One of two simulators that are driven alike."""
