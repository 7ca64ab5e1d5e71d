"""Results: from the sums of jobs to activations or raw results."""
