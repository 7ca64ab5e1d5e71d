"""Exploration of the design space: points, their figures, and those that no other point beats."""
