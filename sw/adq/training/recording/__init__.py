"""What a training run measures and keeps: epochs, metrics, progress."""
