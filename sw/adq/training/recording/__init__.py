"""Recording of training runs: epochs, metrics, progress."""
