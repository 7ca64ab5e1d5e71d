"""Hold slack of a placed netlist, and delay buffers where it is negative."""

from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.placement.netlists import buffers
from adq.verif.placement.placer import Placement
from adq.verif.placement.wires import pin_positions
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.timing import Timing

__all__ = ["HoldSlack", "hold_slacks", "insert_delays"]

MARGIN = 0.01
"""ns of hold slack that delay buffers aim at: cells are moved once they are in."""


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


def insert_delays(
    netlist: Netlist, library: Library, placement: Placement, timing: Timing, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Put buffers of the smallest kind in front of data pins whose hold slack is negative, as many
    as the missing time asks for and the pin's setup slack allows.

    The buffers become the last instances of the netlist. Returns where they are wanted, in um.

    Parameters
    ----------
    timing
        Of the netlist.
    period
        ns
    """
    late = [hold for hold in hold_slacks(timing) if hold.slack < 0]
    kinds = buffers(library)
    places: list[tuple[float, float]] = []
    if not late or not kinds:
        return np.zeros(0), np.zeros(0)
    cell = kinds[0]
    source, output = cell.inputs[0], cell.outputs[0].name
    least, most = _delays(cell, timing.graph.clock_slew)
    setup = np.full(len(timing.cells), np.inf)
    owned = timing.end_owners >= 0
    np.minimum.at(setup, timing.end_owners[owned], period - timing.path_delays[owned])
    for hold in late:
        instance = netlist.instances[hold.instance]
        wanted = int(np.ceil((MARGIN - hold.slack) / least))
        for _ in range(min(wanted, int(max(0.0, setup[hold.instance]) / most))):
            driven = netlist.new_net()
            pins = {source.name: instance.pins[hold.pin], output: driven}
            instance.pins[hold.pin] = driven
            netlist.instances.append(
                Instance(f"hold_buffer_{driven}", cell.name, pins, instance.block)
            )
            places.append(pin_positions(placement, hold.instance, instance.cell, hold.pin))
    x, y = np.array(places).reshape(-1, 2).T
    return x, y


def _delays(cell: Cell, slew: float) -> tuple[float, float]:
    """The shortest and the longest delay of a buffer in a chain of its kind, in ns."""
    load = cell.inputs[0].capacitance
    found = [
        float(table.at(slew=at, load=load))
        for arc in cell.outputs[0].arcs
        for name, table in arc.tables.items()
        for at in (0.0, slew)
        if name in ("cell_rise", "cell_fall")
    ]
    return max(min(found), 1e-3), max(found)
