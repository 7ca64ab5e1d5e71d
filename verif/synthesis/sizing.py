"""Sizing: buffers and drive strengths that meet a clock period with little area."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from adq.verif.liberty.cells import Cell, Pin
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Net, Netlist
from adq.verif.synthesis.pin_order import order_inputs
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["buffer_nets", "drive_strengths", "size_cells"]

MAX_FANOUT = 12
"""Pins on a net, from which on it gets buffers."""

CLOSE = 0.03
"""Paths within this share of the longest are worked on together."""

PATIENCE = 8
"""Rounds without progress after which sizing ends."""

ORDERS = 4
"""Times at most that inputs are put in another order."""


def drive_strengths(library: Library) -> dict[str, list[str]]:
    """Return the cells that can replace each cell, including itself, weakest first: those with the
    same pins, functions and state.
    """
    families: dict[tuple[object, ...], list[Cell]] = {}
    for cell in library.cells.values():
        if cell.usable and cell.outputs:
            inputs = sorted(pin.name for pin in cell.inputs)
            outputs = []
            for pin in cell.outputs:
                try:
                    function = str(truth_table(pin.function, inputs))
                except ValueError:  # of a state, or none
                    function = pin.function
                outputs.append((pin.name, function))
            state = (cell.next_state, cell.clocked_on, cell.clear, cell.preset)
            key = (*inputs, *sorted(outputs), cell.sequential, *state)
            families.setdefault(key, []).append(cell)
    strengths: dict[str, list[str]] = {}
    for family in families.values():
        family.sort(key=lambda cell: (min(p.max_capacitance for p in cell.outputs), cell.area))
        names = [cell.name for cell in family]
        strengths.update((name, names) for name in names)
    return strengths


def _buffer(library: Library) -> Cell | None:
    """Return the smallest buffer."""
    buffers = [
        cell
        for cell in library.cells.values()
        if cell.usable
        and not cell.sequential
        and len(cell.inputs) == len(cell.outputs) == 1
        and cell.outputs[0].function.strip("() ") == cell.inputs[0].name
    ]
    return min(buffers, key=lambda cell: cell.area, default=None)


def buffer_nets(netlist: Netlist, library: Library) -> None:
    """Insert a buffer tree on every net with more than ``MAX_FANOUT`` pins, except clocks.

    Pins that are about as urgent share a buffer.
    """
    cell = _buffer(library)
    if cell is None:
        return
    graph = TimingGraph(netlist, library)
    input_pin, output_pin = cell.inputs[0], cell.outputs[0]
    usual = MAX_FANOUT * input_pin.capacitance * 2
    timing = graph.analyse(most_load=usual)
    required = timing.required(timing.delay)

    sinks: dict[Net, list[tuple[float, Instance, str]]] = defaultdict(list)
    drivers: dict[Net, Instance] = {}
    for instance in netlist.instances:
        pins = library.cells[instance.cell].pins
        driven = [net for net in map(instance.pins.get, _outputs(pins)) if isinstance(net, int)]
        nets = [graph.number[net] for net in driven]
        urgency = min((required[2 * n + e] for n in nets for e in (0, 1)), default=np.inf)
        drivers.update((net, instance) for net in driven)
        for pin, net in instance.pins.items():
            if pins[pin].direction == "input":
                sinks[net].append((min(urgency, timing.delay), instance, pin))
    for net, reached in sinks.items():
        is_clock = any(_is_clock(library.cells[i.cell], pin) for _, i, pin in reached)
        if isinstance(net, str) or len(reached) <= MAX_FANOUT or is_clock:
            continue
        block = (drivers[net] if net in drivers else reached[0][1]).block
        # As few buffers as can be, and so few levels: all pins are about as far from the driver.
        ends = [(i, pin) for _, i, pin in sorted(reached, key=lambda end: end[0])]
        while len(ends) > MAX_FANOUT:
            groups = -(-len(ends) // MAX_FANOUT)
            added = []
            for group in range(groups):
                output = netlist.new_net()
                first, last = (n * len(ends) // groups for n in (group, group + 1))
                for instance, pin_name in ends[first:last]:
                    instance.pins[pin_name] = output
                buffer_pins: dict[str, Net] = {input_pin.name: net, output_pin.name: output}
                added.append(Instance(f"buffer_{output}", cell.name, buffer_pins, block))
            netlist.instances += added
            ends = [(instance, input_pin.name) for instance in added]


def _outputs(pins: Mapping[str, Pin]) -> list[str]:
    """Return the names of a cell's output pins."""
    return [name for name, pin in pins.items() if pin.direction == "output"]


def _is_clock(cell: Cell, pin: str) -> bool:
    return cell.pins[pin].clock or cell.pins[pin].role == "clock"


def size_cells(
    netlist: Netlist,
    library: Library,
    *,
    period: float,
    order: bool = False,
    grow_only: bool = False,
) -> Timing:
    """Choose drive strengths: first the smallest cells that can drive their loads, then larger ones
    along the longest paths, until no path is longer than ``period`` ns or no change helps.

    Parameters
    ----------
    order
        Where that is not enough, put late nets on fast pins, and let cells grow again.
    grow_only
        Replace no cell by a smaller one: other paths pass it, which the netlist lacks.
    """
    sizer = _Sizer(TimingGraph(netlist, library), drive_strengths(library), grow_only)
    best = _grow(netlist, sizer, sizer.carry_loads(), period)
    for _ in range(ORDERS if order else 0):
        if best.delay <= period:
            break
        ordered = order_inputs(netlist, library)
        if ordered.delay > best.delay - 1e-3:
            break
        again = _Sizer(ordered.graph, sizer.strengths, grow_only)
        best = _grow(netlist, again, ordered, period)
    return best


def _grow(netlist: Netlist, sizer: "_Sizer", timing: Timing, period: float) -> Timing:
    """Size up cells of a netlist from what they are, and leave them at their best."""
    graph = sizer.graph
    best = timing
    stuck = 0
    while best.delay > period and stuck < PATIENCE:
        cells = sizer.improve(timing, max(period, best.delay * (1 - CLOSE)))
        if cells == timing.cells:
            break
        timing = graph.analyse(cells)
        stuck = stuck + 1 if timing.delay > best.delay - 1e-3 else 0
        best = min(best, timing, key=lambda timing: timing.delay)
    for instance, cell in zip(netlist.instances, best.cells, strict=True):
        instance.cell = cell
    graph.cells = best.cells
    return best


class _Sizer:
    def __init__(self, graph: TimingGraph, strengths: dict[str, list[str]], grow_only: bool):
        self.graph, self.strengths, self.grow_only = graph, strengths, grow_only
        self.library = graph.library

    def carry_loads(self) -> Timing:
        """Return the timing with the weakest cells that can drive their loads."""
        graph = self.graph
        cells = graph.cells
        for _ in range(2):  # larger cells load what drives them
            timing = graph.analyse(cells)
            cells = [self._carries(cell, i, timing.load) for i, cell in enumerate(cells)]
        return graph.analyse(cells)

    def _carries(self, name: str, instance: int, load: np.ndarray) -> str:
        family = self.strengths.get(name, [name])
        if self.grow_only:
            family = family[family.index(name) :]
        nets = dict(
            zip(self.graph.tables.of(name).pins, self.graph.pin_nets[instance], strict=True)
        )
        for candidate in family:
            outputs = self.library.cells[candidate].outputs
            if all(
                nets[pin.name] < 0 or load[nets[pin.name]] <= pin.max_capacitance for pin in outputs
            ):
                return candidate
        return family[-1]

    def improve(self, timing: Timing, period: float) -> list[str]:
        """Return the cells, with larger ones where they shorten paths longer than ``period``."""
        graph = self.graph
        required = timing.required(period)
        slack = required[timing.targets] - timing.arrival[timing.sources] - timing.arc_delay
        critical = np.flatnonzero(slack < 0)
        owners = np.unique(timing.owners[critical])
        # The cost of one more fF on each critical net.
        more = 1.0
        nets = timing.targets[critical] // 2
        cost = np.zeros(graph.nets)
        changed = graph.tables.at(
            timing.delays[critical], timing.slew[timing.sources[critical]], timing.load[nets] + more
        )
        changed += timing.wire_delay[nets] + timing.launch[critical] - timing.arc_delay[critical]
        np.maximum.at(cost, nets, changed / more)
        critical_node = np.zeros(len(timing.arrival), bool)
        critical_node[timing.targets[critical]] = True

        gains: dict[int, tuple[float, str]] = {}
        for step in (1, 2):
            stronger = {}
            for owner in owners:
                family = self.strengths.get(timing.cells[owner], [])
                place = family.index(timing.cells[owner]) + step if family else 0
                if place < len(family):
                    stronger[int(owner)] = family[place]
            for owner, gain in self._gains(timing, stronger, cost, critical_node).items():
                if gain > max(5e-4, gains.get(owner, (0,))[0]):
                    gains[owner] = (gain, stronger[owner])
        cells = list(timing.cells)
        chosen = sorted(gains, key=lambda owner: -gains[owner][0])
        for owner in chosen[: max(20, len(chosen) // 3)]:
            cells[owner] = gains[owner][1]
        return cells

    def _gains(
        self,
        timing: Timing,
        stronger: dict[int, str],
        cost: np.ndarray,
        critical_node: np.ndarray,
    ) -> dict[int, float]:
        """Return by how many ns a replacement makes the latest critical output of each instance
        earlier, minus the loss of the cell that drives it.
        """
        graph = self.graph
        gains: dict[int, float] = {}
        for tables, owners, nets in graph.by_cell(stronger):
            earlier = np.full(len(owners), np.inf)
            arrival: dict[tuple[int, int], np.ndarray] = {}
            for source, edge, target, target_edge, delay, _ in tables.arcs:
                from_nets = nets[:, source] if source >= 0 else np.full(len(nets), graph.nets)
                used = (from_nets >= 0) & (nets[:, target] >= 0)
                from_node = np.where(used, 2 * from_nets + edge, 0)
                to_net = np.where(used, nets[:, target], 0)
                delays = graph.tables.at(
                    np.full(len(nets), delay), timing.slew[from_node], timing.load[to_net]
                )
                arrivals = timing.arrival[from_node] + delays + timing.wire_delay[to_net]
                if source < 0:
                    arrivals = arrivals + graph.clock_arrival[owners]
                arrivals = np.where(used, arrivals, -np.inf)
                key = (target, target_edge)
                arrival[key] = np.maximum(arrival.get(key, -np.inf), arrivals)
            for (target, edge), arrivals in arrival.items():
                node = 2 * nets[:, target] + edge
                critical = (nets[:, target] >= 0) & critical_node[node]
                gain = np.where(critical, timing.arrival[node] - arrivals, np.inf)
                earlier = np.minimum(earlier, gain)
            before = [graph.tables.of(timing.cells[i]).capacitance for i in owners]
            added = np.array(tables.capacitance) - np.array(before)
            loss = np.where(nets >= 0, cost[nets] * added, 0.0).max(axis=1)
            gains.update(zip(owners.tolist(), (earlier - loss).tolist(), strict=True))
        return {owner: gain for owner, gain in gains.items() if np.isfinite(gain)}
