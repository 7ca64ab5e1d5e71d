"""Training runs: their folder, checkpoints, history, results and figures."""
