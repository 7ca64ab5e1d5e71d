"""Clock tree: buffers between the clock's port and the pins that it drives, clustered by place.

Pins are clustered where they stand, each cluster gets a buffer in its middle, and the buffers are
clustered in turn, until one is left. A clock gate joins the tree as many levels above the
flip-flops as there are buffers' delays between it and the flip-flops behind it, so that all
flip-flops are reached at about the same time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.placement.clock_network import ClockNetwork, buffer_energy, through
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.geometry import WireLayer
from adq.verif.placement.placer import Placement
from adq.verif.placement.steiner import steiner_trees
from adq.verif.placement.wires import CLOCK_TREE, pin_positions
from adq.verif.synthesis.netlist import Instance, Netlist

__all__ = ["ClockTree", "buffers", "build_clock_tree"]

MOST_SLEW = 0.375
"""Slew of the tree over the library's ``default_max_transition``: three times that of the ideal
clock, which is what a flip-flop takes with little loss of time."""

USUAL_LOAD = 0.7
"""Load of a buffer over the most that it may drive: clusters are halves of larger ones."""


@dataclass
class _Pin:
    """A pin that the tree drives, or a buffer of it."""

    x: float
    y: float
    capacitance: float
    instance: Instance
    pin: str


@dataclass(frozen=True)
class ClockTree:
    """A tree of buffers.

    Attributes
    ----------
    netlist : the netlist with the tree, whose buffers are its last instances
    x, y : wanted position of each buffer, um
    levels : buffers of each level, those that drive flip-flops first
    energy : fJ a cycle, estimated before its buffers have legal positions
    """

    netlist: Netlist
    x: np.ndarray
    y: np.ndarray
    levels: tuple[int, ...]
    buffer: str
    energy: float

    @property
    def buffers(self) -> int:
        """Buffers of all levels."""
        return sum(self.levels)


def buffers(library: Library) -> list[Cell]:
    """Buffers of a library, smallest first."""
    found = [
        cell
        for cell in library.cells.values()
        if cell.usable
        and not cell.sequential
        and len(cell.inputs) == len(cell.outputs) == 1
        and cell.outputs[0].function.strip("() ") == cell.inputs[0].name
    ]
    return sorted(found, key=lambda cell: cell.area)


def build_clock_tree(
    netlist: Netlist, library: Library, placement: Placement, *, clock: str
) -> ClockTree:
    """Build the tree of a placed netlist's clock; the netlist that was given is not changed.

    Of all trees of one kind of buffer, the one that takes the least energy is taken.

    Raises
    ------
    PlacementError
        If no buffer of the library can drive the netlist's clock pins.
    """
    limit = MOST_SLEW * min(library.max_transition, 1.0)
    network = ClockNetwork(netlist, library, placement, clock=clock)
    behind = _delays_behind(network, limit)
    found = []
    for cell in buffers(library):
        load = _most_load(cell, limit)
        tree = _tree(network, placement, behind, cell, load)
        if tree is not None:
            found.append((tree.energy, len(found), tree))
    if not found:
        raise PlacementError(
            f"{library.path}: no buffer drives a clock pin of {netlist.name} within "
            f"{limit:g} ns: the clock tree cannot be built"
        )
    return min(found)[2]


def _most_load(cell: Cell, slew: float) -> float:
    """FF that a buffer drives with at most ``slew`` ns at its input and output."""
    output = cell.outputs[0]
    loads = np.linspace(0, min(output.max_capacitance, 1e4), 400)
    slews = np.zeros(len(loads))
    for arc in output.arcs:
        for name in ("rise_transition", "fall_transition"):
            if name in arc.tables:
                slews = np.maximum(slews, arc.tables[name].at(slew=slew, load=loads))
    fits = np.flatnonzero(slews <= slew)
    return float(loads[fits[-1]]) if len(fits) else 0.0


def _delays_behind(network: ClockNetwork, slew: float) -> dict[str, float]:
    """Ns from the clock pin of each clock gate on the root clock to the flip-flops behind it, in
    the mean.
    """
    found = {}
    for instance in network.netlist.instances:
        cell = network.library.cells[instance.cell]
        if cell.sequential == "clock_gate":
            pins = {pin.role: pin.name for pin in cell.pins.values() if pin.role}
            if instance.pins[pins["clock"]] == network.root:
                output = instance.pins[pins["output"]]
                more, after = through(
                    cell, pins["clock"], pins["output"], slew, network.load(output)
                )
                times = [
                    reached.time
                    for reached in network.follow(output, more, after)
                    if reached.cell.sequential == "ff"
                ]
                found[instance.name] = float(np.mean(times)) if times else more
    return found


def _tree(
    network: ClockNetwork,
    placement: Placement,
    behind: Mapping[str, float],
    cell: Cell,
    load: float,
) -> ClockTree | None:
    """The tree of one kind of buffer, or None where it cannot drive two pins."""
    netlist, library, root = network.netlist, network.library, network.root
    source, output = cell.inputs[0], cell.outputs[0]
    slew = MOST_SLEW * min(library.max_transition, 1.0)
    usual, _ = through(cell, source.name, output.name, slew, USUAL_LOAD * load)
    copy = Netlist(
        netlist.name,
        netlist.ports,
        [Instance(i.name, i.cell, dict(i.pins), i.block) for i in netlist.instances],
        netlist.names,
    )
    waiting: dict[int, list[_Pin]] = {}
    for number, instance in enumerate(copy.instances):
        for pin, net in instance.pins.items():
            if net == root:
                x, y = pin_positions(placement, number, instance.cell, pin)
                capacitance = library.cells[instance.cell].pins[pin].capacitance
                found = _Pin(x, y, capacitance, instance, pin)
                level = round(behind.get(instance.name, 0.0) / usual) if usual > 0 else 0
                waiting.setdefault(level, []).append(found)
    layer = network.layer
    added: list[_Pin] = []
    levels: list[int] = []
    energy = 0.0
    last: list[_Pin] = []
    level = 0
    while waiting or len(last) > 1:
        pins = last + waiting.pop(level, [])
        level += 1
        if not pins:
            continue
        clusters = _clusters(pins, load, layer)
        if len(pins) > 1 and len(clusters) == len(pins) and not waiting:
            return None
        last = []
        for cluster in clusters:
            net = copy.new_net()
            for member in cluster:
                member.instance.pins[member.pin] = net
            name = f"clock_buffer_{net}"
            instance = Instance(name, cell.name, {source.name: root, output.name: net}, CLOCK_TREE)
            x, y = (float(np.median([getattr(m, axis) for m in cluster])) for axis in "xy")
            last.append(_Pin(x, y, source.capacitance, instance, source.name))
            wire = _wire(cluster, layer)
            driven = wire + sum(member.capacitance for member in cluster)
            energy += buffer_energy(cell, slew, driven)
            energy += (wire + source.capacitance) * library.voltage**2
        levels.append(len(last))
        added += last
    copy.instances += [pin.instance for pin in added]
    return ClockTree(
        copy,
        np.array([pin.x for pin in added]),
        np.array([pin.y for pin in added]),
        tuple(levels),
        cell.name,
        energy,
    )


def _wire(pins: list[_Pin], layer: WireLayer) -> float:
    """FF of the wire between some pins."""
    x, y = (np.array([[getattr(pin, axis) for pin in pins]]) for axis in "xy")
    return float(steiner_trees(x, y).length[0]) * layer.capacitance


def _clusters(pins: list[_Pin], load: float, layer: WireLayer) -> list[list[_Pin]]:
    """Halve clusters across their longer side until each may be driven by one buffer."""
    if len(pins) == 1:
        return [pins]
    x, y = ([getattr(pin, axis) for pin in pins] for axis in "xy")
    total = sum(pin.capacitance for pin in pins)
    if total <= load and total + _wire(pins, layer) <= load:
        return [pins]
    across = np.ptp(x) >= np.ptp(y)
    # Names break ties, so that the order of the netlist does not matter.
    ordered = sorted(
        pins, key=lambda pin: (pin.x if across else pin.y, pin.y, pin.x, pin.instance.name)
    )
    middle = len(ordered) // 2
    return _clusters(ordered[:middle], load, layer) + _clusters(ordered[middle:], load, layer)
