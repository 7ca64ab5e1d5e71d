"""Energy of a netlist's switching: the library's tables times what every cell did."""

from dataclasses import dataclass

import numpy as np

from adq.verif.gate_level.switching import CellKind, Counts, Switching
from adq.verif.synthesis.timing import TimingGraph

__all__ = ["Energy", "PowerModel"]

OUTSIDE = "input ports"
"""Block of the nets that drivers outside the netlist charge; the clock is not among them."""

CLOCK = "clock"
"""Block of the clock's own net."""


@dataclass(frozen=True)
class Energy:
    """Energy of some cycles, by block.

    Attributes
    ----------
    cycles : clock edges
    internal : fJ inside cells, apart from the clock's share
    switching : fJ of nets, pins and wires
    clock : fJ inside clock gates and clock pins, and of the nets of clocks
    outside : fJ of the nets that input ports drive, of which no block pays
    leakage : nW, the mean over the cycles
    """

    cycles: int
    internal: dict[str, float]
    switching: dict[str, float]
    clock: dict[str, float]
    outside: float
    leakage: float

    def block(self, block: str) -> float:
        """FJ of a block."""
        parts = (self.internal, self.switching, self.clock)
        return sum(part.get(block, 0.0) for part in parts)

    @property
    def blocks(self) -> dict[str, float]:
        """FJ of every block."""
        names = dict.fromkeys((*self.internal, *self.switching, *self.clock))
        return {name: self.block(name) for name in names}

    @property
    def total(self) -> float:
        """fJ, but for leakage and what lies outside."""
        return sum(self.blocks.values())


class PowerModel:
    """Energies of every event of every instance, looked up once at its slew and load.

    Slews are the worst of static timing, loads those of pins and wires; see
    ``TimingGraph``. The clock is ideal: its net has pins and a wire,
    but no tree.
    """

    def __init__(self, switching: Switching):
        self.switching = switching
        netlist, library = switching.netlist, switching.library
        timing = TimingGraph(netlist, library).analyse()
        graph = timing.graph
        self.voltage = library.voltage
        number = np.array([graph.number[net] for net in switching.nets])
        self.load = timing.load[number]
        self.blocks = [instance.block for instance in netlist.instances]
        self.energies = [self._energies(kind, timing) for kind in switching.kinds]
        self._own_nets()

    def _own_nets(self):
        """The block that pays for each net: that of its driver."""
        switching = self.switching
        library = switching.library
        self.payer = [OUTSIDE] * len(switching.nets)
        for instance in switching.netlist.instances:
            for pin in library.cells[instance.cell].outputs:
                net = instance.pins.get(pin.name)
                if isinstance(net, int):
                    self.payer[switching.row[net]] = instance.block
        self.payer[switching.row[switching.clocks[0]]] = CLOCK

    def _energies(self, kind: CellKind, timing) -> np.ndarray:
        """FJ of each event of each instance: (instances, events)."""
        graph = timing.graph
        instances = self.switching.netlist.instances
        found = np.zeros((len(kind.instances), len(kind.events.events)))
        clocks = set(self.switching.clocks)

        def slew(net, rises: bool) -> float:
            if net in clocks or net not in graph.number:
                return graph.clock_slew
            return timing.slew[2 * graph.number[net] + (not rises)]

        for number, event in enumerate(kind.events.events):
            pins = [instances[i].pins for i in kind.instances]
            point = {"slew": np.array([slew(p[event.input_pin], event.input_rises) for p in pins])}
            if event.output_pin:
                nets = [graph.number.get(p.get(event.output_pin), -1) for p in pins]
                point["load"] = np.array([timing.load[net] if net >= 0 else 0.0 for net in nets])
            found[:, number] = event.table.at(**point)
        return found

    def energy(self, counts: Counts) -> Energy:
        """Energy of what was counted."""
        internal, clock = {}, {}
        leakage = 0.0
        for kind, energies, changes in zip(
            self.switching.kinds, self.energies, counts.changes, strict=True
        ):
            events = kind.events.events
            for of_clock, into in ((False, internal), (True, clock)):
                chosen = [i for i, event in enumerate(events) if event.clock == of_clock]
                if not chosen:
                    continue
                weights = np.array([events[i].weights for i in chosen]).T
                spent = ((changes @ weights) * energies[:, chosen]).sum(axis=1)
                for instance, energy in zip(kind.instances, spent, strict=True):
                    block = self.blocks[instance]
                    into[block] = into.get(block, 0.0) + float(energy)
            leakage += float((changes @ kind.events.leakage).sum()) / counts.cycles
        clocks = np.zeros(len(self.payer), bool)
        clocks[[self.switching.row[net] for net in self.switching.clocks]] = True
        for block, energy in self.net_energy(counts.toggles * clocks).items():
            clock[block] = clock.get(block, 0.0) + energy
        switching = self.net_energy(counts.toggles * ~clocks)
        outside = switching.pop(OUTSIDE, 0.0)
        return Energy(counts.cycles, internal, switching, clock, outside, leakage)

    def net_energy(self, toggles: np.ndarray) -> dict[str, float]:
        """FJ of toggles of nets, by the block that pays for each."""
        spent = toggles * self.load * self.voltage**2 / 2
        found: dict[str, float] = {}
        for row in np.flatnonzero(toggles):
            block = self.payer[row]
            found[block] = found.get(block, 0.0) + float(spent[row])
        return found
