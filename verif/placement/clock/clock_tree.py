"""Clock tree: buffers between the clock's port and the pins that it drives, clustered by place.

Clock nets are worked on from the flip-flops to the port. Pins are clustered where they stand, each
cluster gets a buffer in its middle, and buffers are clustered in turn, until what is in front of
the net can drive what is left. A pin joins where the buffers behind a cluster take as long as what
is behind the pin, so that flip-flops behind few and behind many clock gates are reached at about
the same time. Gates get the strength that their load asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.placement.clock.clock_network import buffer_energy, through
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.netlists import buffers, copied
from adq.verif.placement.placer import Placement
from adq.verif.placement.steiner import steiner_trees
from adq.verif.placement.wires import CLOCK_TREE, pin_positions
from adq.verif.synthesis.netlist import Instance, Net, Netlist
from adq.verif.synthesis.sizing import drive_strengths

__all__ = ["ClockTree", "build_clock_tree"]

MOST_SLEW = 0.375
"""Slew of the tree over the library's ``default_max_transition``: three times that of the ideal
clock, which is what a flip-flop takes with little loss of time."""

USUAL_LOAD = 0.7
"""Load of a buffer over the most that it may drive: clusters are halves of larger ones."""


@dataclass
class _Pin:
    """A clock pin; ``delay`` is the time in ns from it to the flip-flops behind it."""

    x: float
    y: float
    capacitance: float
    delay: float
    instance: Instance
    pin: str


@dataclass(frozen=True)
class ClockTree:
    """A tree of buffers.

    Attributes
    ----------
    netlist : the netlist with the tree, whose buffers are its last instances
    x, y : wanted position of each buffer, um
    """

    netlist: Netlist
    x: np.ndarray
    y: np.ndarray
    buffer: str


def build_clock_tree(
    netlist: Netlist,
    library: Library,
    placement: Placement,
    *,
    clock: str,
    advance: Mapping[str, float] | None = None,
) -> ClockTree:
    """Build the tree of a placed netlist's clock; the netlist that was given is not changed.

    All buffers are of one kind: the one that takes the least energy for what it drives.

    Parameters
    ----------
    advance
        ns that the clock shall reach a flip-flop sooner than others, by instance.

    Raises
    ------
    PlacementError
        If no buffer of the library can drive the netlist's clock pins.
    """
    slew = MOST_SLEW * min(library.max_transition, 1.0)

    def energy(cell: Cell) -> float:
        """FJ for each fF that a buffer can drive."""
        load = _most_load(cell, cell.outputs[0].name, slew)
        own = cell.inputs[0].capacitance * library.voltage**2
        return (buffer_energy(cell, slew, load) + own) / load if load else np.inf

    for cell in sorted(buffers(library), key=energy):
        builder = _Builder(netlist, library, placement, cell, slew, advance or {})
        tree = builder.build(clock)
        if tree is not None:
            return tree
    raise PlacementError(
        f"{library.path}: no buffer drives a clock pin of {netlist.name} within {slew:g} ns: the "
        "clock tree cannot be built"
    )


class _Builder:
    """Builds the tree of one kind of buffer."""

    def __init__(
        self,
        netlist: Netlist,
        library: Library,
        placement: Placement,
        cell: Cell,
        slew: float,
        advance: Mapping[str, float],
    ):
        self.netlist, self.library, self.placement = copied(netlist), library, placement
        self.layer = placement.floorplan.geometry.clock
        self.cell, self.slew, self.advance = cell, slew, advance
        self.source, self.output = cell.inputs[0], cell.outputs[0]
        self.load = _most_load(cell, self.output.name, slew)
        usual, _ = through(cell, self.source.name, self.output.name, slew, USUAL_LOAD * self.load)
        self.usual = max(usual, 1e-3)
        self.strengths = drive_strengths(library)
        self.added: list[_Pin] = []
        self._collect()

    def _collect(self) -> None:
        """Clock pins by net, and the gate that drives each gated clock."""
        self.pins: dict[Net, list[tuple[int, str]]] = {}
        self.gates: dict[Net, tuple[int, str, str]] = {}
        for number, instance in enumerate(self.netlist.instances):
            cell = self.library.cells[instance.cell]
            if cell.sequential == "clock_gate":
                roles = {pin.role: pin.name for pin in cell.pins.values() if pin.role}
                pin, output = roles["clock"], roles["output"]
                self.gates[instance.pins[output]] = number, pin, output
            elif cell.sequential == "ff":
                pin = cell.clocked_on
            else:
                continue
            self.pins.setdefault(instance.pins[pin], []).append((number, pin))

    def build(self, clock: str) -> ClockTree | None:
        """The tree, or None where the buffer cannot drive two pins."""
        [root] = self.netlist.ports[clock][1]
        pins = self._net(root, None)
        if pins is None:
            return None
        self.netlist.instances += [pin.instance for pin in self.added]
        return ClockTree(
            self.netlist,
            np.array([pin.x for pin in self.added]),
            np.array([pin.y for pin in self.added]),
            self.cell.name,
        )

    def _net(self, net: Net, most: float | None) -> list[_Pin] | None:
        """Put buffers on a net until what is left on it loads it with at most ``most`` fF, or is
        one buffer; what is left, or None where that cannot be.
        """
        waiting = []
        for number, pin in self.pins.get(net, ()):
            instance = self.netlist.instances[number]
            x, y = pin_positions(self.placement, number, instance.cell, pin)
            delay = self.advance.get(instance.name, 0.0)
            if self.library.cells[instance.cell].sequential == "clock_gate":
                behind = self._gate(instance)
                if behind is None:
                    return None
                delay = behind
            capacitance = self.library.cells[instance.cell].pins[pin].capacitance
            waiting.append(_Pin(x, y, capacitance, delay, instance, pin))
        waiting.sort(key=lambda pin: pin.delay)
        last: list[_Pin] = []
        while waiting or last:
            time = float(np.mean([p.delay for p in last])) if last else waiting[0].delay
            joining = [pin for pin in waiting if pin.delay < time + self.usual / 2]
            waiting = waiting[len(joining) :]
            last += joining
            if not waiting and self._may_stay(last, most):
                return last
            clusters = self._clusters(last)
            if len(clusters) == len(last) > 1 and not waiting:
                return None
            last = [self._buffer(net, cluster, load) for cluster, load in clusters]
        return last

    def _may_stay(self, pins: list[_Pin], most: float | None) -> bool:
        """Return whether a net's driver can drive pins: the port a buffer, a gate ``most`` fF."""
        if len(pins) == 1 and pins[0].instance.block == CLOCK_TREE:
            return True
        return most is not None and (len(pins) == 1 or self._capacitance(pins) <= most)

    def _gate(self, gate: Instance) -> float | None:
        """Build what is behind a gate and choose its strength; the time from its clock pin on."""
        cell = self.library.cells[gate.cell]
        roles = {pin.role: pin.name for pin in cell.pins.values() if pin.role}
        family = [self.library.cells[name] for name in self.strengths.get(cell.name, [cell.name])]
        strongest = _most_load(family[-1], roles["output"], self.slew)
        pins = self._net(gate.pins[roles["output"]], strongest)
        if pins is None:
            return None
        load = self._capacitance(pins) if pins else 0.0
        fits = [c for c in family if _most_load(c, roles["output"], self.slew) >= load]
        chosen = fits[0] if fits else family[-1]
        gate.cell = chosen.name
        delay, _ = through(chosen, roles["clock"], roles["output"], self.slew, load)
        return delay + (float(np.mean([pin.delay for pin in pins])) if pins else 0.0)

    def _buffer(self, net: Net, cluster: list[_Pin], load: float) -> _Pin:
        """Put a buffer in front of a cluster, which loads it with ``load`` fF."""
        driven = self.netlist.new_net()
        for member in cluster:
            member.instance.pins[member.pin] = driven
        instance = Instance(
            f"clock_buffer_{driven}",
            self.cell.name,
            {self.source.name: net, self.output.name: driven},
            CLOCK_TREE,
        )
        x, y = (float(np.median([getattr(member, axis) for member in cluster])) for axis in "xy")
        delay, _ = through(self.cell, self.source.name, self.output.name, self.slew, load)
        delay += float(np.mean([member.delay for member in cluster]))
        pin = _Pin(x, y, self.source.capacitance, delay, instance, self.source.name)
        self.added.append(pin)
        return pin

    def _capacitance(self, pins: list[_Pin]) -> float:
        """FF of some pins and the wire between them."""
        x, y = (np.array([[getattr(pin, axis) for pin in pins]]) for axis in "xy")
        wire = float(steiner_trees(x, y).length[0]) * self.layer.capacitance
        return wire + sum(pin.capacitance for pin in pins)

    def _clusters(self, pins: list[_Pin]) -> list[tuple[list[_Pin], float]]:
        """Halve clusters across their longer side until each may be driven by one buffer; each
        with the fF that it loads the buffer with.
        """
        if len(pins) == 1:
            return [(pins, self._capacitance(pins))]
        width, height = (float(np.ptp([getattr(pin, axis) for pin in pins])) for axis in "xy")
        # No tree is shorter than this: most clusters that are too large need no tree.
        least = sum(pin.capacitance for pin in pins) + (width + height) * self.layer.capacitance
        if least <= self.load and (load := self._capacitance(pins)) <= self.load:
            return [(pins, load)]
        across = width >= height
        # Names break ties, so that the order of the netlist does not matter.
        ordered = sorted(
            pins, key=lambda pin: (pin.x if across else pin.y, pin.y, pin.x, pin.instance.name)
        )
        middle = len(ordered) // 2
        return self._clusters(ordered[:middle]) + self._clusters(ordered[middle:])


def _most_load(cell: Cell, output: str, slew: float) -> float:
    """FF that a cell drives with at most ``slew`` ns at its clock input and its output."""
    pin = cell.pins[output]
    loads = np.linspace(0, min(pin.max_capacitance, 1e4), 400)
    slews = np.zeros(len(loads))
    for arc in pin.arcs:
        for name in ("rise_transition", "fall_transition"):
            if name in arc.tables:
                slews = np.maximum(slews, arc.tables[name].at(slew=slew, load=loads))
    fits = np.flatnonzero(slews <= slew)
    return float(loads[fits[-1]]) if len(fits) else 0.0
