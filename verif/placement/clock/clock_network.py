"""The clock of a placed netlist, followed from net to net through buffers and clock gates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.placement.placer import Placement
from adq.verif.placement.wires import CLOCK_TREE, NetTrees, clock_nets, net_trees
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["ClockNetwork", "ClockTiming", "Reached", "buffer_energy", "clock_timing"]


@dataclass(frozen=True)
class Reached:
    """A clock pin that a rising edge reaches.

    Attributes
    ----------
    time, slew : ns
    capacitance : fF of the pin
    load : fF that the instance drives; 0 for a flip-flop
    """

    instance: Instance
    cell: Cell
    time: float
    slew: float
    capacitance: float
    load: float


class ClockNetwork:
    """Wires of all nets that carry a clock.

    Parameters
    ----------
    clock
        Port of the clock.
    """

    def __init__(self, netlist: Netlist, library: Library, placement: Placement, *, clock: str):
        self.netlist, self.library = netlist, library
        self.layer = placement.floorplan.geometry.clock
        [self.root] = netlist.ports[clock][1]
        clocks = {self.root, *clock_nets(netlist, library)}
        self._where: dict[Net, tuple[NetTrees, int, np.ndarray]] = {}
        for group in net_trees(netlist, library, placement, clocks):
            delays = group.elmore(self.layer)
            self._where.update(
                (net, (group, row, delays[row])) for row, net in enumerate(group.nets)
            )

    def length(self, net: Net) -> float:
        """Um of a net's wire."""
        if net not in self._where:
            return 0.0
        group, row, _ = self._where[net]
        return float(group.trees.length[row])

    def load(self, net: Net) -> float:
        """FF of pins and wire of a net."""
        if net not in self._where:
            return 0.0
        group, row, _ = self._where[net]
        pins = sum(terminal.capacitance for terminal in group.terminals[row])
        return pins + self.length(net) * self.layer.capacitance

    def follow(self, net: Net, time: float, slew: float) -> Iterator[Reached]:
        """Every pin that an edge on a net reaches, flip-flops and what is on the way to them."""
        waiting = [(net, time, slew)]
        while waiting:
            net, time, slew = waiting.pop()
            if net not in self._where:
                continue
            group, row, delays = self._where[net]
            for terminal, delay in zip(group.terminals[row][1:], delays[1:], strict=False):
                if terminal.instance < 0:
                    continue
                instance = self.netlist.instances[terminal.instance]
                cell = self.library.cells[instance.cell]
                reached = time + float(delay)
                load = 0.0
                if cell.sequential != "ff":
                    output = next(pin.name for pin in cell.outputs if pin.name in instance.pins)
                    load = self.load(instance.pins[output])
                    more, after = through(cell, terminal.name, output, slew, load)
                    waiting.append((instance.pins[output], reached + more, after))
                yield Reached(instance, cell, reached, slew, terminal.capacitance, load)


def through(cell: Cell, pin: str, output: str, slew: float, load: float) -> tuple[float, float]:
    """Delay and slew of a rising edge through a buffer or a clock gate, in ns."""
    delay, after = 0.0, slew
    for arc in cell.pins[output].arcs:
        if arc.related_pin == pin and "cell_rise" in arc.tables:
            delay = max(delay, float(arc.tables["cell_rise"].at(slew=slew, load=load)))
            if "rise_transition" in arc.tables:
                after = float(arc.tables["rise_transition"].at(slew=slew, load=load))
    return delay, after


def buffer_energy(cell: Cell, slew: float, load: float) -> float:
    """FJ inside a buffer that rises and falls."""
    total = 0.0
    for power in cell.outputs[0].powers:
        both = power.tables.get("power")
        for edge in ("rise_power", "fall_power"):
            table = power.tables.get(edge, both)
            if table is not None:
                total += float(table.at(slew=slew, load=load))
    return total


@dataclass(frozen=True)
class ClockTiming:
    """The clock of a placed netlist.

    Attributes
    ----------
    arrival, slew : ns at the clock pin of each flip-flop and clock gate, by instance; rising edge
    registers : names of the flip-flops
    energies : fJ of the tree each time that a clock ticks, by the net of the clock: inside buffers,
        of their pins and of the wires, those to what they drive included; the clock pins that they
        drive are the netlist's
    buffers : number of buffers
    wire : um of the nets that have buffers
    """

    arrival: dict[str, float]
    slew: dict[str, float]
    registers: frozenset[str]
    energies: dict[Net, float]
    buffers: int
    wire: float

    def _of_registers(self) -> list[float]:
        return [time for name, time in self.arrival.items() if name in self.registers] or [0.0]

    @property
    def insertion_delay(self) -> float:
        """Ns from the port to the flip-flops, in the mean."""
        return float(np.mean(self._of_registers()))

    @property
    def skew(self) -> float:
        """Ns between the first and the last flip-flop that is reached."""
        return max(self._of_registers()) - min(self._of_registers())


def clock_timing(
    netlist: Netlist, library: Library, placement: Placement, *, clock: str, slew: float
) -> ClockTiming:
    """Time the clock from its port to the flip-flops.

    Parameters
    ----------
    netlist
        With its clock tree.
    slew
        ns at the port.
    """
    network = ClockNetwork(netlist, library, placement, clock=clock)
    arrival, slews, registers = {}, {}, set()
    origin: dict[Net, Net] = {network.root: network.root}  # nets of the tree -> net of the clock
    energies: dict[Net, float] = {network.root: 0.0}
    buffers = 0
    for reached in network.follow(network.root, 0.0, slew):
        name, pins = reached.instance.name, reached.instance.pins
        if reached.instance.block == CLOCK_TREE:
            before, after = (
                pins[p.name] for p in (reached.cell.inputs[0], reached.cell.outputs[0])
            )
            clock_net = origin.setdefault(before, before)
            origin[after] = clock_net
            inside = buffer_energy(reached.cell, reached.slew, reached.load)
            inside += reached.capacitance * library.voltage**2
            energies[clock_net] = energies.get(clock_net, 0.0) + inside
            buffers += 1
            continue
        arrival[name], slews[name] = reached.time, reached.slew
        if reached.cell.sequential == "ff":
            registers.add(name)
    for net, clock_net in origin.items():
        wire = network.length(net) * network.layer.capacitance
        energies[clock_net] += wire * library.voltage**2
    total = sum(network.length(net) for net in origin)
    return ClockTiming(arrival, slews, frozenset(registers), energies, buffers, total)
