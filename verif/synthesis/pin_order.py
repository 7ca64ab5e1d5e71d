"""Order of inputs: nets that arrive late go to the pins of a cell from which it is fastest.

An adder's inputs can change places, and so can those of many gates, but delays from them differ.
"""

import functools
import itertools

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.liberty.timing_tables import CellTiming
from adq.verif.synthesis.netlist import Netlist
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["input_orders", "order_inputs"]

CLOSE = 0.05
"""Paths within this share of the longest are looked at together."""

ROUNDS = 20
GAIN = 5e-4
"""ns that another order must win."""


@functools.cache
def input_orders(cell: Cell) -> tuple[tuple[int, ...], ...]:
    """Return the orders in which nets can be on a combinational cell's inputs without changing any
    output, as places of the inputs; the given order is not among them.
    """
    names = [pin.name for pin in cell.inputs]
    if cell.sequential or not cell.outputs or len(names) < 2:
        return ()

    def tables(order: tuple[int, ...]) -> list[int]:
        return [truth_table(p.function, [names[place] for place in order]) for p in cell.outputs]

    first, *others = itertools.permutations(range(len(names)))
    given = tables(first)
    return tuple(order for order in others if tables(order) == given)


def order_inputs(netlist: Netlist, library: Library) -> Timing:
    """Put late nets on fast pins along the longest paths, as long as these get shorter.

    Returns
    -------
    Timing
        Of the netlist as it is left.
    """
    best = TimingGraph(netlist, library).analyse()
    for _ in range(ROUNDS):
        changes = _better_orders(best, library)
        before = {number: dict(netlist.instances[number].pins) for number in changes}
        for number, order in changes.items():
            instance = netlist.instances[number]
            names = [pin.name for pin in library.cells[instance.cell].inputs]
            nets = [instance.pins[name] for name in names]
            instance.pins |= {name: nets[place] for name, place in zip(names, order, strict=True)}
        timing = TimingGraph(netlist, library).analyse()
        if not changes or timing.delay > best.delay - GAIN:
            for number, pins in before.items():
                netlist.instances[number].pins = pins
            return TimingGraph(netlist, library).analyse()
        best = timing
    return best


def _better_orders(timing: Timing, library: Library) -> dict[int, tuple[int, ...]]:
    """Return the order of inputs of each instance near the longest paths that another one betters:
    net ``order[i]`` of its inputs goes to input ``i``.
    """
    graph = timing.graph
    required = timing.required(timing.delay * (1 - CLOSE))
    slack = required[timing.targets] - timing.arrival[timing.sources] - timing.arc_delay
    critical = np.unique(timing.owners[slack < 0]).tolist()
    chosen: dict[int, tuple[int, ...]] = {}
    for tables, owners, nets in graph.by_cell({i: timing.cells[i] for i in critical}):
        cell = library.cells[timing.cells[owners[0]]]
        orders = input_orders(cell)
        if not orders:
            continue
        inputs = [tables.pins.index(pin.name) for pin in cell.inputs]
        given = tuple(range(len(inputs)))
        slacks = np.array(
            [_worst_slack(timing, tables, nets, inputs, o, required) for o in (given, *orders)]
        )
        best = slacks.argmax(axis=0)
        for column, owner in enumerate(owners.tolist()):
            if slacks[best[column], column] > slacks[0, column] + GAIN:
                chosen[owner] = orders[best[column] - 1]
    return chosen


def _worst_slack(
    timing: Timing,
    tables: CellTiming,
    nets: np.ndarray,
    inputs: list[int],
    order: tuple[int, ...],
    required: np.ndarray,
) -> np.ndarray:
    """Return the least slack at the outputs of instances whose inputs are in another order."""
    graph = timing.graph
    sources = {pin: inputs[place] for pin, place in zip(inputs, order, strict=True)}
    worst = np.full(len(nets), np.inf)
    for pin, edge, target, target_edge, delay, _ in tables.arcs:
        source = nets[:, sources[pin]]
        used = (source >= 0) & (nets[:, target] >= 0)
        node = np.where(used, 2 * source + edge, 0)
        net = np.where(used, nets[:, target], 0)
        delays = graph.tables.at(np.full(len(nets), delay), timing.slew[node], timing.load[net])
        arrival = timing.arrival[node] + delays + timing.wire_delay[net]
        slack = required[2 * net + target_edge] - arrival
        worst = np.minimum(worst, np.where(used, slack, np.inf))
    return worst
