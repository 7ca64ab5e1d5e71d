"""Places in the repository that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""Top folder of the repository."""
