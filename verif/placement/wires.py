"""Wires of a placed netlist: a Steiner tree for each net, its capacitance and its delays."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.geometry import WireLayer
from adq.verif.placement.placer import Placement
from adq.verif.placement.steiner import SteinerTrees, steiner_trees
from adq.verif.synthesis.netlist import Net, Netlist
from adq.verif.synthesis.parasitics import Parasitics

__all__ = [
    "CLOCK_TREE",
    "NetTrees",
    "Terminal",
    "clock_nets",
    "extract_wires",
    "net_trees",
    "output_load",
    "pin_positions",
]

CLOCK_TREE = "clock tree"
"""Block of the buffers of a clock tree."""


@dataclass(frozen=True)
class Terminal:
    """A pin or a port that a net is on.

    Attributes
    ----------
    instance : number of the instance; -1 for a port or a macro
    name : pin, or port and bit
    macro : name of the macro whose pin it is; empty for others
    x, y : um
    capacitance : fF
    drives : whether it drives the net
    """

    instance: int
    name: str
    x: float
    y: float
    capacitance: float
    drives: bool
    macro: str = ""


@dataclass(frozen=True)
class NetTrees:
    """Trees of nets with the same number of terminals.

    Attributes
    ----------
    nets : the nets, in the order of the trees' first axis
    terminals : of each net, the driver first; the first nodes of its tree
    trees : see :class:`SteinerTrees`; lengths in um
    """

    nets: list[int]
    terminals: list[list[Terminal]]
    trees: SteinerTrees

    def loads(self) -> np.ndarray:
        """Capacitance of the terminal at each node, in fF: (nets, nodes)."""
        found = np.zeros(self.trees.x.shape)
        for row, terminals in enumerate(self.terminals):
            found[row, : len(terminals)] = [terminal.capacitance for terminal in terminals]
        return found

    def elmore(self, layer: WireLayer) -> np.ndarray:
        """Elmore delay from the root to each node, in ns: (nets, nodes)."""
        edges, parent = self.trees.edges, self.trees.parent
        wire = edges * layer.capacitance
        # Capacitance charged through the edge above each node: all below it, half of the edge's.
        below = _sums_below(self.loads() + wire, parent) - wire / 2
        return _sums_above(edges * layer.resistance * below, parent) * 1e-6


def _sums_below(values: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Sum over each node and all nodes below it."""
    total = values.copy()
    for rows, columns, above in _walks(parent):
        np.add.at(total, (rows, above), values[rows, columns])
    return total


def _sums_above(values: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Sum over each node and all nodes above it."""
    total = values.copy()
    for rows, columns, above in _walks(parent):
        np.add.at(total, (rows, columns), values[rows, above])
    return total


def _walks(parent: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of a node and an ancestor, nearest ancestors first, all nodes at a time."""
    rows, columns = np.nonzero(parent >= 0)
    above = parent[rows, columns]
    while rows.size:
        yield rows, columns, above
        higher = parent[rows, above]
        inner = higher >= 0
        rows, columns, above = rows[inner], columns[inner], higher[inner]


def output_load(library: Library) -> float:
    """Load of an output port in fF: a flip-flop's data pin, as in static timing."""
    flip_flops = library.flip_flops()
    return flip_flops[0].pins[flip_flops[0].next_state].capacitance if flip_flops else 0.0


def pin_positions(placement: Placement, instance: int, cell: str, pin: str) -> tuple[float, float]:
    """Position of a pin on the die, in um."""
    x, y = placement.floorplan.geometry.pin_offset(
        cell, pin, flipped=placement.orientation(instance) == "FS"
    )
    return float(placement.x[instance]) + x, float(placement.y[instance]) + y


def net_terminals(
    netlist: Netlist, library: Library, placement: Placement, chosen: Collection[Net] | None = None
) -> dict[Net, list[Terminal]]:
    """Terminals of each net, or of ``chosen`` ones, the driver first.

    Raises
    ------
    PlacementError
        If a macro drives a net that has a driver already.
    """
    found: dict[Net, list[Terminal]] = {}

    def add(net: Net, terminal: Terminal) -> None:
        terminals = found.setdefault(net, [])
        if terminal.macro and terminal.drives and terminals and terminals[0].drives:
            raise PlacementError(
                f"macro {terminal.macro}: its output {terminal.name} is on a net that has a driver "
                f"already: {terminals[0].name}"
            )
        terminals.insert(0 if terminal.drives else len(terminals), terminal)

    def wanted(net: Net) -> bool:
        return isinstance(net, int) and (chosen is None or net in chosen)

    load = output_load(library)
    for name, (direction, bits) in netlist.ports.items():
        for bit, net in enumerate(bits):
            if wanted(net):
                x, y = placement.floorplan.ports[name, bit]
                word = f"{name}[{bit}]" if len(bits) > 1 else name
                drives = direction == "input"
                add(net, Terminal(-1, word, x, y, 0.0 if drives else load, drives))
    geometry = placement.floorplan.geometry
    lefts, lows = placement.x.tolist(), placement.y.tolist()  # lists are faster to index
    for number, instance in enumerate(netlist.instances):
        pins = library.cells[instance.cell].pins
        for pin, net in instance.pins.items():
            if wanted(net):
                x, y = geometry.pin_offset(
                    instance.cell, pin, flipped=placement.orientation(number) == "FS"
                )
                x, y = lefts[number] + x, lows[number] + y
                drives = pins[pin].direction == "output"
                load_of = 0.0 if drives else pins[pin].capacitance
                add(net, Terminal(number, pin, x, y, load_of, drives))
    for macro in placement.floorplan.macros:
        for name, end in macro.pins.items():
            if not wanted(end.net):
                continue
            drives = end.direction == "output"
            x, y = macro.x + end.x, macro.y + end.y
            add(end.net, Terminal(-1, name, x, y, 0.0, drives, macro.name))
    return found


def net_trees(
    netlist: Netlist, library: Library, placement: Placement, chosen: Collection[Net] | None = None
) -> Iterator[NetTrees]:
    """Trees of all nets of two or more terminals, or of ``chosen`` ones, nets of few terminals
    first.
    """
    by_size: dict[int, list[Net]] = {}
    terminals = net_terminals(netlist, library, placement, chosen)
    for net, found in terminals.items():
        if len(found) > 1 and found[0].drives:
            by_size.setdefault(len(found), []).append(net)
    for _, nets in sorted(by_size.items()):
        members = [terminals[net] for net in nets]
        x = np.array([[terminal.x for terminal in found] for found in members])
        y = np.array([[terminal.y for terminal in found] for found in members])
        yield NetTrees([int(net) for net in nets], members, steiner_trees(x, y))


def clock_nets(netlist: Netlist, library: Library) -> set[Net]:
    """Nets on a clock pin of a flip-flop or a clock gate, or on a buffer of the clock tree."""
    found: set[Net] = set()
    for instance in netlist.instances:
        cell = library.cells[instance.cell]
        if instance.block == CLOCK_TREE:
            found.update(instance.pins.values())
        elif cell.sequential:
            found |= {
                net
                for pin, net in instance.pins.items()
                if cell.pins[pin].clock or cell.pins[pin].role == "clock"
            }
    return found


def extract_wires(
    netlist: Netlist, library: Library, placement: Placement, *, ideal: frozenset[Net] = frozenset()
) -> Parasitics:
    """Capacitance and resistance of every net's wire.

    Parameters
    ----------
    ideal
        Nets without a wire: the root of the clock, whose tree is accounted for apart.
    """
    geometry = placement.floorplan.geometry
    clocks = clock_nets(netlist, library)
    capacitance, resistance = {}, {}
    wired = set(netlist.nets()) - ideal
    for group in net_trees(netlist, library, placement, wired):
        length = group.trees.length
        loads = group.loads().sum(axis=1)
        for layer, chosen in ((geometry.signal, False), (geometry.clock, True)):
            delays = group.elmore(layer).max(axis=1)
            wire = length * layer.capacitance
            effective = delays * 1e3 / np.maximum(wire + loads, 1e-9)
            for row, net in enumerate(group.nets):
                if (net in clocks) == chosen:
                    capacitance[net] = float(wire[row])
                    resistance[net] = float(effective[row])
    return Parasitics(capacitance, resistance)
