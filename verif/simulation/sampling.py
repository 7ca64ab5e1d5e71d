"""Counts the bins of functional coverage that a simulation reaches."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

__all__ = ["FILE", "sample"]

FILE = "functional.json"
"""In the working directory of the simulator: hits by bin."""

_hits: Counter[str] = Counter()


def sample(bins: Iterable[str]) -> None:
    """Count hits, and leave the sums of all tests so far in the file."""
    _hits.update(bins)
    scratch = Path(f".{FILE}.part")
    scratch.write_text(json.dumps(_hits))
    scratch.rename(FILE)
