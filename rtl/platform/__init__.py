"""What makes tiles a platform: memories, walkers, requantizers, conductor and bus."""
