"""Useful skew: flip-flops that start the longest paths get their clock sooner."""

import numpy as np

from adq.verif.synthesis.timing import Timing

__all__ = ["clock_advance"]

LEAST = 0.02
"""Share of the period that is left of the slack at the flip-flop's own input."""


def clock_advance(timing: Timing, period: float) -> dict[str, float]:
    """Return how much sooner, in ns, the clock shall reach each flip-flop from which a path takes
    longer than the period: as much as it is too long, or as the paths to the flip-flop allow.
    """
    graph = timing.graph
    required = timing.required(period)
    slack = required - timing.arrival
    captured = np.full(len(timing.cells), np.inf)
    owned = timing.end_owners >= 0
    ends = period - timing.path_delays[owned]
    np.minimum.at(captured, timing.end_owners[owned], ends)
    found = {}
    for number, instance in enumerate(graph.netlist.instances):
        cell = graph.library.cells[instance.cell]
        if cell.sequential != "ff":
            continue
        nets = [graph.number[net] for p in cell.outputs if (net := instance.pins.get(p.name))]
        launched = min((float(slack[2 * net : 2 * net + 2].min()) for net in nets), default=0.0)
        spare = float(captured[number]) - LEAST * period
        if launched < 0 < spare:
            found[instance.name] = min(-launched, spare)
    return found
