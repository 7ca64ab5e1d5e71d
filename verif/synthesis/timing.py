"""Static timing analysis: arrival times over a mapped netlist, level by level."""

import itertools
from collections.abc import Iterator

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.liberty.timing_tables import CellTiming, TimingError, TimingTables
from adq.verif.synthesis.clock.clock_phase import ClockPhases
from adq.verif.synthesis.netlist import Instance, Netlist

__all__ = ["Timing", "TimingError", "TimingGraph"]

NO_NET = -1


class TimingGraph:
    """Timing graph of a netlist.

    The clock is ideal, as before a clock tree is built: it reaches every register and clock gate
    at time 0, with ``clock_slew``. Inputs come at time 0 with the same slew; outputs have to be
    there at the end of the cycle, and drive ``output_load``. Wires are those of the library's
    default wire load model, their resistance balanced over the pins. A placed netlist has
    ``parasitics``: wires and clock arrival times are then those.

    Latches are transparent while the clock is low, and close at its rise, where their data must be
    there. What they hold leaves no later than from a flip-flop, at the clock's rise. Enables of
    clock gates on the inverted clock must be there at the clock's fall, after half of the period:
    as a path they count twice.

    Parameters
    ----------
    clock_slew
        ns; an eighth of the library's ``default_max_transition`` where it is left out.
    output_load
        fF; a flip-flop's data pin where it is left out.

    Raises
    ------
    TimingError
        If the netlist has a cell that the library has not, or a combinational loop, or the
        library has a table that cannot be looked up.
    """

    def __init__(
        self,
        netlist: Netlist,
        library: Library,
        *,
        clock_slew: float | None = None,
        output_load: float | None = None,
    ):
        self.netlist, self.library = netlist, library
        self.tables = TimingTables(library)
        placed = netlist.parasitics
        if clock_slew is None and placed is not None:
            clock_slew = placed.clock_slew
        if clock_slew is None:
            clock_slew = min(library.max_transition, 1.0) / 8
        if output_load is None:
            output_load = next(
                (cell.pins[cell.next_state].capacitance for cell in library.flip_flops()), 0.0
            )
        self.clock_slew = float(clock_slew)
        self.number = {net: i for i, net in enumerate(dict.fromkeys(netlist.nets()))}
        self.bits = list(self.number)
        self.nets = len(self.bits)
        self.cells = [instance.cell for instance in netlist.instances]

        self.port_load = np.zeros(self.nets)
        self.port_of: dict[int, str] = {}  # output net -> name
        self.inputs: list[int] = []
        for name, (direction, bits) in netlist.ports.items():
            for i, bit in enumerate(bits):
                if bit not in self.number:
                    continue
                net = self.number[bit]
                if direction == "output":
                    self.port_load[net] += output_load
                    self.port_of.setdefault(net, f"{name}[{i}]" if len(bits) > 1 else name)
                else:
                    self.inputs.append(net)
        arrival = {} if placed is None else placed.clock_arrival
        self.clock_arrival = np.array([arrival.get(i.name, 0.0) for i in netlist.instances])
        self.port_arrival = 0.0 if placed is None else placed.port_arrival
        self._connect()
        phases = ClockPhases(netlist, library)
        self.cycles = np.array(
            [0.5 if phases.gate_is_inverted(i) else 1.0 for i in netlist.instances]
        )
        """Share of the clock's period that paths to each instance may take."""
        self._sort_nets()

    def by_cell(self, cells: dict[int, str]) -> Iterator[tuple[CellTiming, np.ndarray, np.ndarray]]:
        """Yield for each kind of cell: its timing, its instances, and the nets on their pins."""
        members: dict[str, list[int]] = {}
        for i, cell in cells.items():
            members.setdefault(cell, []).append(i)
        for cell, indices in members.items():
            nets = [self.pin_nets[i] for i in indices]
            yield self.tables.of(cell), np.array(indices), np.array(nets)

    def _connect(self) -> None:
        """Compute fanouts, wire loads, and the order of nets."""
        self.pin_nets = [
            [self.net_on(i, pin) for pin in self.tables.of(i.cell).pins]
            for i in self.netlist.instances
        ]
        edges = [np.zeros((0, 2), int)]
        self.fanout = np.zeros(self.nets, int)
        self.fanout[list(self.port_of)] = 1
        for timing, _, nets in self.by_cell(dict(enumerate(self.cells))):
            sinks = nets[:, timing.is_input]
            self.fanout += np.bincount(sinks[sinks >= 0], minlength=self.nets)
            for source, target in timing.follows:
                pairs = nets[:, [source, target]]
                edges.append(pairs[(pairs >= 0).all(1)])
        self.edges = np.unique(np.concatenate(edges), axis=0)
        placed = self.netlist.parasitics
        if placed is not None:
            self.wire_load = np.array([placed.capacitance.get(net, 0.0) for net in self.bits])
            self.wire_resistance = np.array([placed.resistance.get(net, 0.0) for net in self.bits])
            return
        model = self.library.wire_load
        length = model.length(self.fanout)
        self.wire_load = length * model.capacitance
        balanced = np.maximum(self.fanout, 1) ** 2
        self.wire_resistance = length * model.resistance / balanced

    def net_on(self, instance: Instance, pin: str) -> int:
        """Return the number of the net on a pin; an open one, or one on a constant, has none."""
        net = instance.pins.get(pin)
        return self.number.get(net, NO_NET) if isinstance(net, int) else NO_NET

    def _sort_nets(self) -> None:
        """Compute the level of each net: the maximum number of cells between it and a register or
        an input.
        """
        sources, targets = self.edges.T
        order = np.argsort(sources, kind="stable")
        targets_of = targets[order]
        starts = np.searchsorted(sources[order], np.arange(self.nets + 1))
        waiting = np.bincount(targets, minlength=self.nets)
        self.level = np.zeros(self.nets, int)
        ready, level, done = np.flatnonzero(waiting == 0), 0, 0
        while ready.size:
            self.level[ready] = level
            done += ready.size
            counts = starts[ready + 1] - starts[ready]
            offsets = np.repeat(starts[ready] - np.cumsum(counts) + counts, counts)
            reached, times = np.unique(
                targets_of[offsets + np.arange(counts.sum())], return_counts=True
            )
            waiting[reached] -= times
            ready, level = reached[waiting[reached] == 0], level + 1
        if done < self.nets:
            raise TimingError(f"{self.nets - done} nets are in or behind a combinational loop")

    def name_of(self, net: int) -> str:
        """Return the name of a net from its number in this graph."""
        return self.netlist.name_of(self.bits[net])

    def analyse(
        self, cells: list[str] | None = None, *, most_load: float | None = None
    ) -> "Timing":
        """Time the netlist. ``cells`` replaces its cells, if given; no net is loaded with more than
        ``most_load`` fF.
        """
        return Timing(self, cells or self.cells, np.inf if most_load is None else most_load)


class Timing:
    """Load, arrival time and slew of every net, rising and falling.

    A node is ``2*net`` where the net rises and ``2*net + 1`` where it falls.

    Attributes
    ----------
    load : fF a net
    arrival, slew : ns a node
    delay : float
        Longest path in ns, setup time included; of a placed netlist, less how much later the
        clock reaches its end than its start. Twice as long where a path has half of a period.
    """

    def __init__(self, graph: TimingGraph, cells: list[str], most_load: float):
        self.graph, self.cells = graph, cells
        self._collect(most_load)
        self._propagate()
        self._finish()

    def _collect(self, most_load: float) -> None:
        """Compute loads, timing arcs and path endpoints from the tables of the cells."""
        graph = self.graph
        self.clock_node = 2 * graph.nets  # the clock's rise, and after it its fall
        pin_load = np.zeros(graph.nets)
        sources: list[np.ndarray] = []
        targets: list[np.ndarray] = []
        delays: list[np.ndarray] = []
        slews: list[np.ndarray] = []
        owners: list[np.ndarray] = []
        end_nodes: list[np.ndarray] = []
        end_tables: list[np.ndarray] = []
        end_owners: list[np.ndarray] = []
        for timing, indices, nets in graph.by_cell(dict(enumerate(self.cells))):
            for pin, capacitance in enumerate(timing.capacitance):
                used = nets[:, pin] >= 0
                np.add.at(pin_load, nets[used, pin], capacitance)
            for source, edge, target, target_edge, delay, slew in timing.arcs:
                from_nets = nets[:, source] if source >= 0 else np.full(len(nets), graph.nets)
                used = (from_nets >= 0) & (nets[:, target] >= 0)
                sources.append(2 * from_nets[used] + edge)
                targets.append(2 * nets[used, target] + target_edge)
                delays.append(np.full(used.sum(), delay))
                slews.append(np.full(used.sum(), slew))
                owners.append(indices[used])
            for pin, edge, table in timing.setups:
                used = nets[:, pin] >= 0
                end_nodes.append(2 * nets[used, pin] + edge)
                end_tables.append(np.full(used.sum(), table))
                end_owners.append(indices[used])

        def joined(parts: list[np.ndarray]) -> np.ndarray:
            return np.concatenate(parts) if parts else np.zeros(0, int)

        load = pin_load + graph.port_load + graph.wire_load
        self.wire_delay = graph.wire_resistance * load * 1e-3
        self.load = np.minimum(load, most_load)
        arrays = [joined(parts) for parts in (sources, targets, delays, slews, owners)]
        order = np.lexsort((arrays[1], graph.level[arrays[1] // 2]))
        self.sources, self.targets, self.delays, self.slews, self.owners = (
            array[order] for array in arrays
        )
        clocked = self.sources >= self.clock_node
        self.launch = np.where(clocked, graph.clock_arrival[self.owners], 0.0)
        self.end_nodes, self.end_tables, self.end_owners = map(
            joined, (end_nodes, end_tables, end_owners)
        )

    def _propagate(self) -> None:
        """Compute the latest arrival and the worst slew at every node, level by level."""
        graph = self.graph
        lookup = graph.tables.at
        self.arrival = np.full(2 * graph.nets + 2, -np.inf)
        self.slew = np.full(2 * graph.nets + 2, graph.clock_slew)
        self.arrival[self.clock_node :] = 0
        for net in graph.inputs:
            self.arrival[2 * net : 2 * net + 2] = graph.port_arrival
        self.arc_delay = np.zeros(len(self.sources))
        levels = graph.level[self.targets // 2]
        bounds = np.searchsorted(levels, np.arange(levels.max(initial=0) + 2))
        self.bounds = bounds
        for low, high in itertools.pairwise(bounds.tolist()):
            if low == high:
                continue
            part = slice(low, high)
            source, target = self.sources[part], self.targets[part]
            nets = target // 2
            load, slew = self.load[nets], self.slew[source]
            delay = lookup(self.delays[part], slew, load) + self.wire_delay[nets]
            delay += self.launch[part]
            self.arc_delay[part] = delay
            first = np.flatnonzero(np.diff(target, prepend=-1))
            reached = target[first]
            self.arrival[reached] = np.maximum.reduceat(self.arrival[source] + delay, first)
            # What no signal reaches (a constant behind it) makes no slew either.
            slews = lookup(self.slews[part], slew, load)
            slews = np.where(np.isfinite(self.arrival[source]), slews, 0.0)
            self.slew[reached] = np.maximum.reduceat(slews, first)

    def _finish(self) -> None:
        """Compute setup times and the path delay of each endpoint."""
        graph = self.graph
        slew = self.slew[self.end_nodes]
        setups = graph.tables.at(self.end_tables, slew, np.full(len(slew), graph.clock_slew))
        outputs = np.array(sorted(graph.port_of), int)
        nodes = np.concatenate([2 * outputs, 2 * outputs + 1])
        self.end_nodes = np.concatenate([self.end_nodes, nodes])
        clocks = graph.clock_arrival[self.end_owners]
        cycles = graph.cycles[self.end_owners]
        self.end_owners = np.concatenate([self.end_owners, np.full(len(nodes), -1)])
        self.setups = np.concatenate([setups, np.zeros(len(nodes))])
        self.end_clocks = np.concatenate([clocks, np.full(len(nodes), graph.port_arrival)])
        self.end_cycles = np.concatenate([cycles, np.ones(len(nodes))])
        path_delays = self.arrival[self.end_nodes] + self.setups - self.end_clocks
        self.path_delays = path_delays / self.end_cycles
        self.delay = float(self.path_delays.max(initial=0.0))

    def required(self, period: float) -> np.ndarray:
        """Return the latest arrival at each node with which no path takes longer than ``period``
        ns.
        """
        required = np.full(len(self.arrival), np.inf)
        latest = period * self.end_cycles + self.end_clocks - self.setups
        np.minimum.at(required, self.end_nodes, latest)
        for low, high in reversed(list(itertools.pairwise(self.bounds))):
            part = slice(low, high)
            np.minimum.at(
                required, self.sources[part], required[self.targets[part]] - self.arc_delay[part]
            )
        return required
