"""Places in the repository that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""Top folder of the repository."""

MODELS = ROOT / "build" / "models"
"""Models of simulations, named by their content: one that a test built serves the others."""
