"""Hold slack of a placed netlist."""

from dataclasses import dataclass

import numpy as np

from adq.verif.synthesis.timing import Timing

__all__ = ["HoldSlack", "hold_slacks"]


@dataclass(frozen=True)
class HoldSlack:
    """How long, in ns, data stay at a pin after they have to; below 0 they do not."""

    instance: int
    pin: str
    slack: float


def hold_slacks(timing: Timing) -> list[HoldSlack]:
    """Hold slack at every data pin that a register reaches, the least first.

    Paths from input ports are left out: how long an input stays is a matter of what drives it.
    Delays are those of the latest edges, as in ``Timing``: the earliest edge through a cell is
    taken with the slew of the latest.
    """
    graph = timing.graph
    earliest = np.full(2 * graph.nets + 2, np.inf)
    earliest[timing.clock_node :] = 0
    for low, high in zip(timing.bounds[:-1], timing.bounds[1:], strict=True):
        if low < high:
            part = slice(low, high)
            target = timing.targets[part]
            times = earliest[timing.sources[part]] + timing.arc_delay[part]
            np.minimum.at(earliest, target, times)
    found: dict[tuple[int, int], float] = {}
    for cell, indices, nets in graph.by_cell(dict(enumerate(timing.cells))):
        for pin, edge, table in cell.holds:
            used = nets[:, pin] >= 0
            nodes = 2 * nets[used, pin] + edge
            size = int(used.sum())
            clock_slews = np.full(size, graph.clock_slew)
            holds = graph.tables.at(np.full(size, table), timing.slew[nodes], clock_slews)
            slacks = earliest[nodes] - graph.clock_arrival[indices[used]] - holds
            for instance, slack in zip(indices[used].tolist(), slacks.tolist(), strict=True):
                key = instance, pin
                if np.isfinite(slack):
                    found[key] = min(found.get(key, np.inf), slack)
    names = {i: graph.tables.of(timing.cells[i]).pins for i, _ in found}
    slacks = [HoldSlack(i, names[i][pin], slack) for (i, pin), slack in found.items()]
    return sorted(slacks, key=lambda slack: (slack.slack, slack.instance))
