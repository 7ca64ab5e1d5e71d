"""A tile in a library's cells, on Verilator: jobs run on it, and what they took."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.gate_level.classes import CellClasses
from adq.verif.gate_level.placed_conditions import PlacedConditions
from adq.verif.gate_level.power import CLOCK, CellEnergy, Energy, PowerModel
from adq.verif.gate_level.simulated_netlist import RECORDING, simulation_sources
from adq.verif.gate_level.switching import Counts, Switching, read_recording
from adq.verif.liberty.library import Library
from adq.verif.operands.beats import results_of
from adq.verif.operands.jobs import Job, streams_of
from adq.verif.simulation.harness import build_with_harness
from adq.verif.simulation.harness.bare import play_bare
from adq.verif.simulation.simulator import Build, SimulationError
from adq.verif.simulation.switching.net_classes import NetClass
from adq.verif.simulation.switching.net_counters import WINDOWS
from adq.verif.synthesis.netlist import Netlist
from adq.verif.synthesis.synthesis import PERIOD, Synthesis, synthesize

__all__ = ["GateLevelTile", "GateRun", "MeasuredTile", "gate_run"]


@dataclass(frozen=True)
class GateRun:
    """Counts and energy of jobs on a netlist.

    Attributes
    ----------
    counts, energy : by window, ``load`` and ``compute``, which take turns
    classes : fJ by class of cells in both windows: data's share, and the clock's
    """

    counts: Mapping[str, Counts]
    energy: Mapping[str, Energy]
    classes: Mapping[NetClass, tuple[float, float]]


class MeasuredTile(Protocol):
    """A tile at gate level whose jobs are measured.

    Attributes
    ----------
    period : ns that cells are sized for
    latches : True if weights are held in latches, not in flip-flops
    area : um2 of the cells
    layout : where the cells were placed; None for the wires of the wire load model
    netlist_sha256 : of the netlist, and of its cells' places where it has some
    digest : SHA-256 of all that energies depend on beside the jobs
    """

    @property
    def parameters(self) -> TileParameters: ...

    @property
    def library(self) -> Library: ...

    @property
    def period(self) -> float: ...

    @property
    def latches(self) -> bool: ...

    @property
    def switching(self) -> Switching: ...

    @property
    def classes(self) -> CellClasses: ...

    @property
    def area(self) -> float: ...

    @property
    def layout(self) -> PlacedConditions | None: ...

    @property
    def netlist_sha256(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def run(self, jobs: Sequence[Job], *, directory: Path) -> GateRun:
        """Run jobs from reset on, loading and computing in turn."""
        ...


class GateLevelTile:
    """A mapped tile and its compiled model.

    Results of every run are compared with products of Python's own integers: a netlist that is not
    the tile does not get through.

    Parameters
    ----------
    cache
        Folder in which netlists and models are looked for and kept.
    latches
        Hold weights in latches; see ``store_in_latches``.
    synthesis
        The netlist, where it is not the one that :func:`synthesize` makes: a placed one, say.

    Raises
    ------
    LibertyError
        If the library does not tell the power of a cell that the tile needs.
    SynthesisError, TimingError, SwitchingError, CellModelError
        If the tile cannot be mapped, timed, counted or simulated with the library.
    SimulationError
        If the model cannot be built.
    """

    CLOCK = "clk"

    def __init__(
        self,
        parameters: TileParameters,
        library: Library,
        *,
        cache: Path,
        period: float = PERIOD,
        latches: bool = False,
        synthesis: Synthesis | None = None,
    ):
        self.parameters = parameters
        self.library = library
        self.period = period
        self.synthesis = synthesis or synthesize(
            Tile(parameters),
            library,
            name="tile",
            latches=latches,
            period=period,
            cache=cache / "synthesis",
        )
        library.require_internal_power(instance.cell for instance in self.netlist.instances)
        self.switching = Switching(self.netlist, library, clock=self.CLOCK)
        self.power = PowerModel(self.switching)
        self.classes = CellClasses(self.netlist, library)
        self.model: Build = build_with_harness(
            parameters,
            cache / "models",
            sources=simulation_sources(self.netlist, library, clock=self.CLOCK),
            switching_width=1,
        )

    @property
    def latches(self) -> bool:
        """True if weights are held in latches, not in flip-flops."""
        return self.synthesis.latches

    @property
    def netlist(self) -> Netlist:
        """The mapped netlist, every output of every cell on a net."""
        return self.synthesis.netlist

    @property
    def area(self) -> float:
        """um2 of the cells."""
        return sum(self.synthesis.area.values())

    @property
    def layout(self) -> None:
        """None: wires are those of the wire load model."""
        return None

    @property
    def netlist_sha256(self) -> str:
        """SHA-256 of the netlist."""
        return hashlib.sha256(self.netlist.to_verilog().encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 of the netlist and of the library."""
        return hashlib.sha256(f"{self.netlist_sha256} {self.library.digest}".encode()).hexdigest()

    def run(self, jobs: Sequence[Job], *, directory: Path) -> GateRun:
        """Run jobs from reset on, loading and computing in turn.

        Raises
        ------
        SimulationError
            If the simulation breaks off, the netlist hangs, or a result is wrong.
        """
        recording = self.record(jobs, directory=directory)
        counts = {
            name: self.switching.count_spans(recording, spans)
            for name, spans in self.windows(recording).items()
        }
        cells = {name: self.power.of_cells(found) for name, found in counts.items()}
        return gate_run(self.power, self.classes, counts, cells)

    def record(self, jobs: Sequence[Job], *, directory: Path) -> np.ndarray:
        """Run jobs; the value of every net in every cycle, as :func:`read_recording` gives it.

        Raises
        ------
        SimulationError
            As :meth:`run`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        play_bare(self.model, streams_of(self.parameters, jobs), directory=directory, separate=True)
        self._check(jobs, (directory / "results.hex").read_text())
        recording = read_recording(directory / RECORDING, len(self.switching.nets) + WINDOW_BITS)
        (directory / RECORDING).unlink()
        return recording

    def windows(self, recording: np.ndarray) -> dict[str, list[tuple[int, int]]]:
        """Return the spans of clock edges of each window, by the harness's own word."""
        place = len(self.switching.nets)
        bits = np.unpackbits(recording[:, place // 8 :], axis=1, bitorder="little")
        word = bits[:, place % 8 :][:, :WINDOW_BITS] @ (1 << np.arange(WINDOW_BITS))
        found = {}
        for name in ("load", "compute"):
            inside = np.append(word[:-1] == WINDOWS.index(name), False)
            edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
            spans = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
            if spans:
                found[name] = spans
        return found

    def _check(self, jobs: Sequence[Job], lines: str) -> None:
        results = results_of(self.parameters, lines)
        first = 0
        for number, job in enumerate(jobs):
            expected = job.results
            beats = results.lanes[first : first + len(expected), :: job.weight_bits // 2]
            if beats.shape != expected.shape or (beats != expected).any():
                raise SimulationError(
                    f"{self.library.name}: results of job {number} of the mapped tile are not "
                    "those of the RTL: the mapping, or a cell's model, is wrong"
                )
            first += len(expected)


def gate_run(
    power: PowerModel,
    classes: CellClasses,
    counts: Mapping[str, Counts],
    cells: Mapping[str, CellEnergy],
) -> GateRun:
    """Return a run by the energy of its cells in each window."""
    energy = {name: power.by_block(found, counts[name].cycles) for name, found in cells.items()}
    data = np.sum([each.internal + each.switching for each in cells.values()], axis=0).tolist()
    clock = np.sum([each.clock for each in cells.values()], axis=0).tolist()
    sums: dict[NetClass, tuple[float, float]] = {}
    for net_class, *parts in zip(classes.of_cells, data, clock, strict=True):
        before = sums.get(net_class, (0.0, 0.0))
        sums[net_class] = (before[0] + parts[0], before[1] + parts[1])
    root = sum(each.root for each in cells.values())
    return GateRun(counts, energy, sums | {CLOCK_ROOT: (0.0, root)})


CLOCK_ROOT = NetClass(CLOCK, "root")
"""Class of the clock's own net, which no cell drives."""

WINDOW_BITS = 2
"""Bits of the harness's word for the window, recorded behind the nets."""
