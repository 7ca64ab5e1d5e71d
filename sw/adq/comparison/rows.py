"""Results of the runs of a comparison, and how the runs of two policies differ."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

__all__ = ["ROW", "Difference", "Row", "difference"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Result of a run."""

    policy: str
    budget: str
    seed: int
    accuracy: float
    """Accuracy on the test set after the last epoch."""
    energy_nj: float | None
    """Energy of computing an image on the tile, by the operands of the trained network."""
    cycles: float | None
    average_bits: float
    """Average bits over all multiply-accumulates."""
    iterations: int
    bits: dict[str, int]


ROW = {
    "type": "object",
    "required": ["policy", "budget", "seed", "accuracy", "energy_nj", "average_bits", "bits"],
    "properties": {
        "policy": {"type": "string"},
        "budget": {"type": "string"},
        "seed": {"type": "integer", "minimum": 0},
        "accuracy": {"type": "number", "minimum": 0, "maximum": 1},
        "energy_nj": {"type": ["number", "null"], "minimum": 0},
        "cycles": {"type": ["number", "null"], "minimum": 0},
        "average_bits": {"type": "number", "minimum": 0},
        "iterations": {"type": "integer", "minimum": 1},
        "bits": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
"""JSON schema of a row."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Difference in accuracy between two policies, over runs with the same seed and budget."""

    pairs: int
    mean: float
    deviation: float | None
    """Standard deviation over the pairs; None for one pair."""
    p: float | None
    """Probability of such a mean by chance: paired t-test, two-sided; None for one pair."""
    same_bits: int
    """Pairs that have the same bits in every layer: the policies took the same decision."""


def difference(rows: Mapping[int, Row], others: Mapping[int, Row]) -> Difference | None:
    """Return by how much runs are more accurate than others, both by seed; None without a pair."""
    pairs = [(row, others[seed]) for seed, row in rows.items() if seed in others]
    if not pairs:
        return None
    values = [one.accuracy - other.accuracy for one, other in pairs]
    several = len(values) > 1
    return Difference(
        pairs=len(values),
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if several else None,
        p=_paired_t(values) if several else None,
        same_bits=sum(one.bits == other.bits for one, other in pairs),
    )


def _paired_t(differences: Sequence[float]) -> float:
    """Return the two-sided p of a paired t-test; 1 where no pair differs."""
    if len(set(differences)) == 1:
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
