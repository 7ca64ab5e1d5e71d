"""Terms of the energy model: features of jobs, weighed by what their wires drive.

A coefficient is the energy of one unit of a term. Terms are counts of what happens in the tile, so
that coefficients change little with its size: what drives a whole row or column is multiplied by
its length here, and not in the coefficient.
"""

from collections.abc import Mapping

from adq.rtl.parameters import TileParameters

__all__ = ["CLOCK", "COMPUTE", "LOAD", "OF_ANY_WEIGHTS", "terms_of"]

CLOCK = "clock"
"""Block of what the clock's edges take, in every block's registers and clock gates."""

COMPUTE: dict[str, tuple[str, ...]] = {
    "row lines": ("line_loads", "plane_toggles", "plane_bits", "planes"),
    "AND plane": ("product_toggles", "line_loads"),
    "column adders": ("adder_toggles", "product_toggles"),
    "fusing": (
        *("pair_toggles", "quad_toggles", "octet_toggles", "fused_toggles", "adder_toggles"),
    ),
    "accumulators": (
        *("term_toggles", "total_toggles", "addend_toggles", "accumulator_toggles"),
        *("negative_sums", "zero_planes", "planes"),
    ),
    "collector": (
        *("result_toggles", "last_bits", "index_toggles", "placed_toggles", "output_toggles"),
        *("total_toggles", "lowest_toggles", "vectors"),
    ),
    "feeder": ("vector_toggles", "plane_toggles", "plane_bits", "planes", "vectors"),
    "control": ("cycles", "planes", "vectors", "jobs"),
    CLOCK: ("cycles", "fused_bits", "accumulator_bits", "result_bits", "vector_bits"),
}
"""Terms of which each block's energy while computing is made. No two of a block are in proportion
on all jobs of a tile, so that jobs can tell them apart: bits of the row lines' registers, say, are
clocked with those behind the fusing adders."""

OF_ANY_WEIGHTS = ("row lines", "AND plane", "feeder")
"""Blocks that know nothing of the weights' precision: jobs of any tell their terms apart."""

LOAD: dict[str, tuple[str, ...]] = {
    "storage": ("storage_toggles", "beat_loads"),
    "control": ("beats",),
    CLOCK: ("storage_bits",),
}
"""The same while weights load."""


def terms_of(parameters: TileParameters, features: Mapping[str, float]) -> dict[str, float]:
    """Features of ``features_of``, and what the terms add to them."""
    return dict(features) | {
        # A row line drives a bit cell in every column, a beat's wire one in every row.
        "line_loads": features["line_toggles"] * parameters.columns,
        "beat_loads": features["beat_toggles"] * parameters.rows / parameters.rows_per_beat,
    }
