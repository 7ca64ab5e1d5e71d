"""Coverage: of the design's structure, and of what its tests put through it."""
