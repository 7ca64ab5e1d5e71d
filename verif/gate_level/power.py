"""Energy of a netlist's switching: the library's tables times what every cell did."""

from dataclasses import dataclass

import numpy as np

from adq.verif.gate_level.switching import CellKind, Counts, Switching
from adq.verif.synthesis.netlist import Net
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["CellEnergy", "Energy", "PowerModel"]

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
        """Return the fJ of a block."""
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


@dataclass(frozen=True)
class CellEnergy:
    """Energy of some cycles, in fJ, by the number of the instance.

    Attributes
    ----------
    internal, switching, clock : array of (instances,)
        As in :class:`Energy`.
    outside : fJ of the nets that input ports drive, but for the clock's
    root : fJ of the clock's own net
    leakage : nW, the mean over the cycles
    """

    internal: np.ndarray
    switching: np.ndarray
    clock: np.ndarray
    outside: float
    root: float
    leakage: float


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

    def _own_nets(self) -> None:
        """Find the cell that pays for each net: its driver, or -1 for input ports."""
        switching = self.switching
        library = switching.library
        self.driver = np.full(len(switching.nets), -1)
        for number, instance in enumerate(switching.netlist.instances):
            for pin in library.cells[instance.cell].outputs:
                net = instance.pins.get(pin.name)
                if isinstance(net, int):
                    self.driver[switching.row[net]] = number

    def _energies(self, kind: CellKind, timing: Timing) -> np.ndarray:
        """Return the fJ of each event of each instance: (instances, events)."""
        graph = timing.graph
        instances = self.switching.netlist.instances
        found = np.zeros((len(kind.instances), len(kind.events.events)))
        clocks = set(self.switching.clocks)

        def slew(net: Net, rises: bool) -> float:
            if isinstance(net, str) or net in clocks or net not in graph.number:
                return graph.clock_slew
            return float(timing.slew[2 * graph.number[net] + (not rises)])

        for number, event in enumerate(kind.events.events):
            pins = [instances[i].pins for i in kind.instances]
            point = {"slew": np.array([slew(p[event.input_pin], event.input_rises) for p in pins])}
            if event.output_pin:
                nets = [graph.net_on(instances[i], event.output_pin) for i in kind.instances]
                point["load"] = np.array([timing.load[net] if net >= 0 else 0.0 for net in nets])
            found[:, number] = event.table.at(**point)
        return found

    def of_cells(self, counts: Counts) -> "CellEnergy":
        """Return the energy of what was counted, cell by cell."""
        internal, clock = np.zeros((2, len(self.blocks)))
        leakage = 0.0
        for kind, energies, changes in zip(
            self.switching.kinds, self.energies, counts.changes, strict=True
        ):
            events = kind.events.events
            for of_clock, into in ((False, internal), (True, clock)):
                own = [i for i, event in enumerate(events) if event.clock == of_clock]
                if not own:
                    continue
                weights = np.array([events[i].weights for i in own]).T
                into[kind.instances] += ((changes @ weights) * energies[:, own]).sum(axis=1)
            leakage += float((changes @ kind.events.leakage).sum()) / counts.cycles
        clocks = np.isin(
            np.arange(len(counts.toggles)),
            [self.switching.row[net] for net in self.switching.clocks],
        )
        switching, outside = self.of_nets(np.where(clocks, 0, counts.toggles))
        gated, root = self.of_nets(np.where(clocks, counts.toggles, 0))
        return CellEnergy(internal, switching, clock + gated, outside, root, leakage)

    def of_nets(self, toggles: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the fJ of toggles of nets by the instance that drives each, array of (instances,),
        and those of nets that input ports drive.
        """
        spent = toggles * self.load * self.voltage**2 / 2
        found = np.zeros(len(self.blocks))
        driven = self.driver >= 0
        np.add.at(found, self.driver[driven], spent[driven])
        return found, float(spent[~driven].sum())

    def energy(self, counts: Counts) -> Energy:
        """Return the energy of what was counted."""
        return self.by_block(self.of_cells(counts), counts.cycles)

    def by_block(self, cells: CellEnergy, cycles: int) -> Energy:
        """Return the energy of cells by their blocks."""
        clock = self._by_block(cells.clock)
        clock[CLOCK] = clock.get(CLOCK, 0.0) + cells.root
        return Energy(
            cycles=cycles,
            internal=self._by_block(cells.internal),
            switching=self._by_block(cells.switching),
            clock=clock,
            outside=cells.outside,
            leakage=cells.leakage,
        )

    def _by_block(self, energies: np.ndarray) -> dict[str, float]:
        """Return the sums over the cells of each block that takes something."""
        sums: dict[str, float] = {}
        for block, energy in zip(self.blocks, energies.tolist(), strict=True):
            if energy:
                sums[block] = sums.get(block, 0.0) + energy
        return sums
