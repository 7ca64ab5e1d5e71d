"""Net weights for placement, from counted switching of the mapped tile."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.synthesis.netlist import Net

__all__ = ["DENSITY", "activity_weights", "record_case", "weigh_by_activity"]

DENSITY = 0.5
"""Share of activation words that are not zero, in the random jobs that are counted."""

SHARE, MOST = 2.0, 10.0
"""A net's weight is 1, and its activity over the mean of all nets times ``SHARE``, at most
``MOST``; see docs/placement.md for others that were tried."""


def activity_weights(activities: Sequence[Mapping["Net", float]]) -> dict["Net", float]:
    """Return the weight of each net.

    Parameters
    ----------
    activities
        Toggles of each net in each of some runs; all runs count the same.
    """
    weights: dict[Net, float] = {}
    for activity in activities:
        mean = sum(activity.values()) / max(len(activity), 1) or 1.0
        for net, toggles in activity.items():
            weights[net] = weights.get(net, 0.0) + toggles / mean / len(activities)
    return {net: 1.0 + min(SHARE * each, MOST) for net, each in weights.items()}


def record_case(
    tile: "GateLevelTile", bits: int, directory: Path
) -> tuple["np.ndarray", list[tuple[int, int]], int]:
    """Run random jobs of one precision; return a recording, its spans of computing, and the MACs in
    them.
    """
    from adq.energy.gate_level.characterization import RandomCase

    jobs = RandomCase("uniform", bits, bits, DENSITY).jobs(tile.parameters)
    recording = tile.record(jobs, directory=directory)
    macs = sum(job.activations.shape[1] * job.weights[0].size for job in jobs)
    return recording, tile.windows(recording)["compute"], macs


def weigh_by_activity(
    tile: "GateLevelTile",
    bits: Sequence[int],
    directory: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> dict["Net", float]:
    """Run random jobs on a mapped tile and return the weight of each net.

    Raises
    ------
    SimulationError
        If a simulation fails, or a result is wrong.
    """
    activities: list[dict[Net, float]] = []
    for width in bits:
        progress(f"counting switching at {width}x{width} bits")
        recording, spans, _ = record_case(tile, width, directory / f"activity-{width}")
        counts = tile.switching.count_spans(recording, spans)
        activities.append(dict(zip(tile.switching.nets, counts.toggles.tolist(), strict=True)))
    return activity_weights(activities)
