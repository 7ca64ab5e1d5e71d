"""Useful skew: the clock comes sooner where long paths start, and later where they end."""

from collections.abc import Mapping

import numpy as np

from adq.verif.placement.clock.hold import hold_slacks
from adq.verif.synthesis.timing import Timing

__all__ = ["clock_advance"]

MARGIN = 0.02
"""Share of the period that is left of the slack on a flip-flop's other side."""

LEAST_HOLD = 0.03
"""ns of hold slack that are left."""


def clock_advance(
    timing: Timing, period: float, before: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return how much sooner, in ns, the clock shall reach each flip-flop.

    A flip-flop from which a path takes longer than the period gets it sooner, by as much as the
    path is too long, or as the paths to the flip-flop allow; one at which such a path ends gets it
    later in the same way, but not past its hold slack.

    Parameters
    ----------
    before
        What was asked for when the netlist was timed; the result is in its place.
    """
    graph = timing.graph
    slack = timing.required(period) - timing.arrival
    captured = np.full(len(timing.cells), np.inf)
    owned = timing.end_owners >= 0
    np.minimum.at(captured, timing.end_owners[owned], period - timing.path_delays[owned])
    holds: dict[int, float] = {}
    for hold in hold_slacks(timing):
        holds.setdefault(hold.instance, hold.slack)  # the least comes first
    found = dict(before or {})
    for number, instance in enumerate(graph.netlist.instances):
        cell = graph.library.cells[instance.cell]
        if cell.sequential != "ff":
            continue
        nets = [net for p in cell.outputs if (net := graph.net_on(instance, p.name)) >= 0]
        launched = min((float(slack[2 * net : 2 * net + 2].min()) for net in nets), default=np.inf)
        arrives = float(captured[number])
        sooner = 0.0
        if launched < 0:
            sooner = min(-launched, max(0.0, arrives - MARGIN * period))
        elif arrives < 0:
            spare = min(launched - MARGIN * period, holds.get(number, np.inf) - LEAST_HOLD)
            sooner = -min(-arrives, max(0.0, spare))
        if sooner:
            found[instance.name] = found.get(instance.name, 0.0) + sooner
    return found
