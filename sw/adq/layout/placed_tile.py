"""A placed tile at gate level: jobs run on it, and what they took with its wires and its clock."""

import functools
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from adq.layout.activity import weigh_by_activity
from adq.layout.recordings import carried_over, columns_of
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.classes import CellClasses
from adq.verif.gate_level.delays.event_simulation import EventSimulation
from adq.verif.gate_level.delays.glitches import delayed_energy
from adq.verif.gate_level.placed_conditions import PlacedConditions
from adq.verif.gate_level.power import CellEnergy, PowerModel
from adq.verif.gate_level.switching import Counts, Switching
from adq.verif.gate_level.tile import GateLevelTile, GateRun, gate_run

if TYPE_CHECKING:
    import numpy as np

    from adq.verif.liberty.library import Library
    from adq.verif.operands.jobs import Job
    from adq.verif.placement.geometry import Geometry
    from adq.verif.placement.placed import PlacedDesign

__all__ = ["PlacedTile", "clock_tree_cells", "open_placed", "placed_tile"]

BITS = (2, 4, 8, 16)
"""Precisions of the random jobs whose switching weights the nets."""


@dataclass(frozen=True)
class PlacedTile:
    """A placed tile. Jobs run on its mapped netlist, which has the same logic.

    Energies have glitches and the clock tree in them: what is behind a clock gate belongs to the
    gate.

    Attributes
    ----------
    mapped : the tile as mapped, with its compiled model
    design : its netlist as placed
    power : of ``design``
    columns : see :func:`adq.layout.recordings.columns_of`
    activity : whether nets were weighted by their activity
    cache : folder of the compiled simulator
    """

    mapped: GateLevelTile
    design: "PlacedDesign"
    power: PowerModel
    columns: "np.ndarray"
    activity: bool
    cache: Path

    @classmethod
    def of(
        cls, mapped: GateLevelTile, design: "PlacedDesign", *, activity: bool, cache: Path
    ) -> "PlacedTile":
        """Return a mapped tile as placed.

        Raises
        ------
        SimulationError
            If the netlists differ in more than buffers and drive strengths.
        """
        switching = Switching(design.netlist, design.library, clock=mapped.CLOCK)
        columns = columns_of(mapped.netlist, mapped.switching.nets, switching)
        return cls(mapped, design, PowerModel(switching), columns, activity, cache)

    @functools.cached_property
    def classes(self) -> CellClasses:
        """Classes of the cells of the placed netlist without its clock tree."""
        return CellClasses(self.design.netlist, self.design.library)

    @functools.cached_property
    def simulation(self) -> EventSimulation:
        """Simulation with delays.

        Time counts from the first flip-flop that the clock reaches: others switch later, and what
        they move has as much more time.
        """
        wires = self.design.netlist.parasitics
        late = 2 * wires.port_arrival if wires else 0.0
        return EventSimulation(self.power, period=self.period + late, cache=self.cache)

    @property
    def parameters(self) -> TileParameters:
        """Parameters of the tile."""
        return self.mapped.parameters

    @property
    def latches(self) -> bool:
        """True if weights are held in latches, not in flip-flops."""
        return self.mapped.latches

    @property
    def library(self) -> "Library":
        """The library of its cells."""
        return self.design.library

    @property
    def period(self) -> float:
        """Ns that cells are sized for."""
        return self.design.options.period

    @property
    def switching(self) -> Switching:
        """Switching of the placed netlist without its clock tree."""
        return self.power.switching

    @property
    def area(self) -> float:
        """um2 of the cells, the clock tree among them."""
        return sum(self.design.area.values())

    @property
    def layout(self) -> PlacedConditions:
        """How it was placed."""
        options = self.design.options
        return PlacedConditions(
            die_um2=self.design.placement.floorplan.area,
            utilization=options.utilization,
            seed=options.seed,
            activity=self.activity,
            longest_path_ns=self.design.timing.delay,
        )

    @property
    def netlist_sha256(self) -> str:
        """SHA-256 of the netlist with its clock tree, and of its places."""
        digest = hashlib.sha256(self.design.full.to_verilog().encode())
        for places in (self.design.placement.site, self.design.placement.row):
            digest.update(places.astype("<i8").tobytes())
        return digest.hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 of the netlist, its places, the library, and the capacitance of its layers."""
        geometry = self.design.placement.floorplan.geometry
        text = f"{self.netlist_sha256} {self.library.digest} {geometry.digest}"
        return hashlib.sha256(text.encode()).hexdigest()

    def run(self, jobs: "Sequence[Job]", *, directory: Path) -> GateRun:
        """Run jobs from reset on, loading and computing in turn.

        Raises
        ------
        SimulationError
            If the simulation breaks off, the netlist hangs, a result is wrong, or a net still moves
            at the end of a cycle.
        """
        recorded = self.mapped.record(jobs, directory=directory)
        recording = carried_over(recorded, self.columns)
        counts: dict[str, Counts] = {}
        cells: dict[str, CellEnergy] = {}
        for name, spans in self.mapped.windows(recorded).items():
            counts[name] = self.switching.count_spans(recording, spans)
            events = self.simulation.count(recording, spans)
            found = delayed_energy(self.power, counts[name], events)
            gated, root = clock_tree_cells(self.design, self.power, counts[name])
            cells[name] = replace(found, clock=found.clock + gated, root=found.root + root)
        return gate_run(self.power, self.classes, counts, cells)


def clock_tree_cells(
    design: "PlacedDesign", power: PowerModel, counts: Counts
) -> tuple["np.ndarray", float]:
    """Return the fJ of the clock tree: of the part behind each clock gate, array of (instances,),
    and of the part behind the port. Each takes its energy when its clock ticks.
    """
    import numpy as np

    gated, root = np.zeros(len(power.blocks)), 0.0
    for net, energy in design.clock.energies.items():
        row = power.switching.row[net]
        spent = energy * float(counts.toggles[row]) / 2
        if power.driver[row] < 0:
            root += spent
        else:
            gated[power.driver[row]] += spent
    return gated, root


def open_placed(parameters: TileParameters, library: "Library", cache: Path) -> PlacedTile:
    """Map and place a tile for the default period, or read both from a folder; see
    :func:`placed_tile`.

    Raises
    ------
    LibertyError, CellModelError
        If the library lacks something.
    """
    from adq.verif.placement.geometry import Geometry
    from adq.verif.placement.placer import require_placer

    require_placer()  # before the tile is mapped
    geometry = Geometry.read(library)
    return placed_tile(GateLevelTile(parameters, library, cache=cache), geometry, cache)


def placed_tile(mapped: GateLevelTile, geometry: "Geometry", cache: Path) -> PlacedTile:
    """Place a mapped tile, nets weighted by their activity, and prepare it for runs with glitches.

    Raises
    ------
    PlacementError, SynthesisError, TimingError, SwitchingError
        If the tile cannot be placed or simulated in the library's cells.
    SimulationError
        If a run whose switching is counted fails.
    """
    from adq.verif.placement.cache import place_cached
    from adq.verif.placement.placed import PlaceOptions

    with tempfile.TemporaryDirectory(prefix="placed-", dir=cache) as scratch:
        weights = weigh_by_activity(mapped, BITS, Path(scratch))
    design = place_cached(
        mapped.netlist,
        mapped.library,
        geometry,
        clock=mapped.CLOCK,
        cache=cache / "placement",
        options=PlaceOptions(period=mapped.period),
        weights=weights,
    )
    return PlacedTile.of(mapped, design, activity=True, cache=cache / "models")
