"""A block of a design in a library's cells, that replays what its ports did in the RTL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.rtl.port_types import Component
from adq.verif.gate_level.power import PowerModel
from adq.verif.gate_level.replay.netlist_simulation import NetlistSimulation
from adq.verif.gate_level.replay.waveform import Waveform
from adq.verif.gate_level.switching import Switching
from adq.verif.liberty.library import Library
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.synthesis import PERIOD, synthesize

__all__ = ["BlockRun", "GateLevelBlock"]

CLOCK = "clk"

BACKSLASH = "\\"
"""Begins names in a netlist that begin with ``$`` in the RTL."""

IDLE = 64
"""Cycles in which nothing happens that energy is counted over."""

SETTLING = 16
"""Cycles until nothing happens any more."""

FIRST = 4
"""Cycle from which outputs are compared: the waveform begins before anything was computed."""

MEMORY_PORT = re.compile(r"\.(RD|WR)_[A-Z]+$")
"""Ports of memories that were left out: what drives them often has no name in a waveform. The words
that memories give are compared in what reads them."""

_NUMBER = re.compile(r"\$\d+(?=\.|$)")


@dataclass(frozen=True)
class BlockRun:
    """Energy of some cycles of a block.

    Attributes
    ----------
    cycles : clock edges
    energy : fJ, without leakage and without the nets that input ports drive
    clock : fJ of the clock's own net, in ``energy``
    leakage : nW
    """

    cycles: int
    energy: float
    clock: float
    leakage: float


class GateLevelBlock:
    """A mapped part of a component.

    Parameters
    ----------
    part
        Path of a submodule; numbers that Amaranth adds to names can be left out.
    apart
        Submodules of it that are left out. What they give is replayed, too.
    memories
        Map memories to flip-flops. Default: they are left out as well.

    Raises
    ------
    LibertyError, SynthesisError, TimingError, SwitchingError, SimulationError
        As of :class:`adq.verif.gate_level.tile.GateLevelTile`.
    """

    def __init__(
        self,
        component: Component,
        library: Library,
        *,
        name: str,
        part: str,
        apart: Sequence[str] = (),
        memories: bool = False,
        cache: Path,
        period: float = PERIOD,
    ):
        self.part = part
        self.apart = tuple(apart)
        self.synthesis = synthesize(
            component,
            library,
            name=name,
            part=part,
            apart=apart,
            memories=memories,
            period=period,
            cache=cache / "synthesis",
        )
        netlist = self.synthesis.netlist
        library.require_internal_power(instance.cell for instance in netlist.instances)
        self.switching = Switching(netlist, library, clock=CLOCK)
        self.power = PowerModel(self.switching)
        self.simulation = NetlistSimulation(self.switching, clock=CLOCK, cache=cache)

    @property
    def area(self) -> float:
        """Area of its cells, in um2."""
        return sum(self.synthesis.area.values())

    def signal(self, port: str) -> str:
        """Return the name that a port's signal has in a waveform."""
        netlist = self.synthesis.netlist
        if port.endswith(".RD_DATA"):
            nets = netlist.ports[port][1]
            port = next(name for name, found in netlist.names.items() if found == nets)
        scope = self.part
        submodule, dot, inner = port.partition(".")
        submodule = _NUMBER.sub("", submodule)
        if dot and submodule in self.apart:
            scope, port = f"{scope}.{submodule}", inner
        return f"{scope}.{port.removeprefix(BACKSLASH)}"

    def replay(self, waveform: Waveform) -> np.ndarray:
        """Return the values of all nets in each cycle of a waveform.

        Raises
        ------
        SimulationError
            If an output is not what it was in the RTL.
        """
        recording = self.simulation.run(self._given(waveform))
        self._compare(waveform, recording)
        return recording

    def idle(self, waveform: Waveform) -> BlockRun:
        """Return the energy of cycles in which the inputs stand, as at the waveform's end.

        Raises
        ------
        SimulationError
            If a net still changes then.
        """
        given = self._given(waveform)
        held = np.concatenate([given, np.repeat(given[-1:], SETTLING + IDLE, axis=0)])
        first = len(given) + SETTLING
        recording = self.simulation.run(held)
        if (recording[first:] != recording[first]).any():
            raise SimulationError(
                f"{self.part}: nets still change {SETTLING} cycles behind the waveform's end: run "
                "it until the block is idle"
            )
        return self.run(recording, first, first + IDLE - 1)

    def _given(self, waveform: Waveform) -> np.ndarray:
        """Return what a waveform has at the inputs, in each cycle."""
        ports = dict.fromkeys(port for port, _, _ in self.simulation.inputs)
        bits = {port: waveform.bits(self.signal(port)) for port in ports}
        return np.stack([bits[port][:, place] for port, place, _ in self.simulation.inputs], 1)

    def _compare(self, waveform: Waveform, recording: np.ndarray) -> None:
        netlist = self.synthesis.netlist
        for port, (direction, of_port) in netlist.ports.items():
            name = self.signal(port)
            if direction != "output" or port.endswith("clk"):
                continue
            if name not in waveform.widths:
                if MEMORY_PORT.search(port):
                    continue
                raise SimulationError(
                    f"{self.part}: the waveform has no {name} to compare {port} with"
                )
            expected = waveform.bits(name)
            for place, net in enumerate(of_port):
                if isinstance(net, int):
                    octet, bit = divmod(self.switching.row[net], 8)
                    differing = recording[:, octet] >> bit & 1 != expected[:, place]
                    differing[:FIRST] = False
                    if differing.any():
                        raise SimulationError(
                            f"{self.part}: bit {place} of {port} differs from the RTL in "
                            f"{differing.sum()} cycles, first in {differing.argmax()}: the "
                            "mapping, or a cell's model, is wrong"
                        )

    def run(self, recording: np.ndarray, first: int, last: int) -> BlockRun:
        """Return the energy of the edges ``first`` to ``last - 1`` of a recording."""
        counts = self.switching.count(recording, first, last)
        found = self.power.of_cells(counts)
        spent = float((found.internal + found.switching + found.clock).sum())
        return BlockRun(counts.cycles, spent + found.root, found.root, found.leakage)
