"""Terms of the energy model: features of jobs, weighed by what their wires drive.

A coefficient is the energy of one unit of a term. Terms are counts of what happens in the tile, so
that coefficients change little with its size: what drives a whole row or column is multiplied by
its length here, and not in the coefficient.
"""

from collections.abc import Mapping

from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import CLASSES

__all__ = ["CLOCK", "IN_TURNS", "LOADING", "OF_ANY_WEIGHTS", "TERMS", "term_of_class", "terms_of"]

CLOCK = "clock"
"""Block of what the clock's edges take, in every block's registers and clock gates."""

LOADING = ("storage",)
"""Blocks that switch because weights load; all others compute."""

IN_TURNS: dict[str, dict[str, tuple[str, ...]]] = {
    "control": {
        "compute": ("cycles", "plane_cycles", "count_toggles", "vectors", "jobs"),
        "load": ("beats",),
    },
    CLOCK: {
        "compute": (
            *("cycles", "line_bits", "fused_bits", "accumulator_bits", "result_bits"),
            *("vector_bits", "plane_cycles", "vectors"),
        ),
        "load": ("storage_bits",),
    },
}
"""Terms by window of blocks that switch whether the tile loads or computes. Cycles of either window
take the same."""

OF_ANY_WEIGHTS = ("row lines", "AND plane", "feeder", "control", *LOADING, CLOCK)
"""Blocks that know nothing of the weights' precision: jobs of any tell their terms apart."""

_DRIVING = {"line_toggles": "line_loads", "beat_toggles": "beat_loads"}
"""Features whose wires drive what grows with the tile, and the terms that stand for them."""

_OF_CLASS = {each: _DRIVING.get(name, name) for name, found in CLASSES.items() for each in found}

TERMS = frozenset(
    {*_OF_CLASS.values(), "plane_cycles", "vectors", "beats"}
    | {term for windows in IN_TURNS.values() for names in windows.values() for term in names}
)
"""All of them."""


def term_of_class(net_class: str) -> str | None:
    """Return the term that counts the toggles of a class of nets; None where no feature does."""
    return _OF_CLASS.get(net_class)


def terms_of(parameters: TileParameters, features: Mapping[str, float]) -> dict[str, float]:
    """Return the features of ``features_of``, and what the terms add to them."""
    return dict(features) | {
        # A row line drives a bit cell in every column, a beat's wire one in every row.
        "line_loads": features["line_toggles"] * parameters.columns,
        "beat_loads": features["beat_toggles"] * parameters.rows / parameters.rows_per_beat,
        # Registers of the row lines take every plane that has a bit set.
        "line_bits": features["planes"] * parameters.rows,
        "plane_cycles": features["planes"] + features["zero_planes"],
    }
