"""Energy of a tile as placed, step by step from the wire load model on."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adq.energy.coefficients import reading
from adq.energy.memory.partial_sums import entry_bits, flip_flop_buffer
from adq.layout.activity import activity_weights, record_case
from adq.rtl.parameters import TileParameters

if TYPE_CHECKING:
    import numpy as np

    from adq.verif.gate_level.power import PowerModel
    from adq.verif.gate_level.switching import Counts, Switching
    from adq.verif.placement.placed import PlacedDesign
    from adq.verif.synthesis.netlist import Net
    from adq.verif.synthesis.synthesis import Synthesis

__all__ = [
    "Layout",
    "PlacedFigures",
    "PlacedStep",
    "PowerMap",
    "clock_tree_energy",
    "measure_placed",
]

FORMAT = 1


@dataclass(frozen=True)
class Layout:
    """A netlist with the wires of one step.

    Attributes
    ----------
    area_um2 : of cells, by block
    longest_path_ns : with the clock tree's arrival times, where there is one
    mean_wire_ff : wire of a net
    die_um2 : None before placement
    """

    area_um2: Mapping[str, float]
    longest_path_ns: float
    mean_wire_ff: float
    die_um2: float | None = None
    worst_hold_slack_ns: float | None = None
    hold_violations: int | None = None
    clock_buffers: int | None = None
    insertion_delay_ns: float | None = None
    skew_ns: float | None = None


@dataclass(frozen=True)
class PlacedStep:
    """Energy of one precision, in fJ a MAC by block, without leakage.

    Attributes
    ----------
    wire_load : wires of the library's wire load model
    plain : cells spread over the die, buffers and drive strengths as mapped
    placed : nets weighted, drive strengths and clock chosen by place, hold slack mended
    clock_tree : what the clock tree adds
    delayed : ``placed`` with glitches, at delays of the placed wires; None where not measured
    partial_sums : reading and writing an entry of the partial sum buffer for each vector
    """

    weight_bits: int
    activation_bits: int
    wire_load: Mapping[str, float]
    plain: Mapping[str, float]
    placed: Mapping[str, float]
    clock_tree: float
    delayed: Mapping[str, float] | None
    partial_sums: float

    @property
    def steps(self) -> dict[str, float | None]:
        """FJ a bit product after each step."""
        products = self.weight_bits * self.activation_bits
        wire_load, plain, placed = (
            sum(each.values()) / products for each in (self.wire_load, self.plain, self.placed)
        )
        tree = self.clock_tree / products
        found: dict[str, float | None] = {
            "wire load model": wire_load,
            "placed, as mapped": plain,
            "placed, resized": placed,
            "+ clock tree": placed + tree,
            "+ glitches": None,
            "+ partial sums": None,
        }
        if self.delayed is not None:
            delayed = sum(self.delayed.values()) / products + tree
            found["+ glitches"] = delayed
            found["+ partial sums"] = delayed + self.partial_sums / products
        return found


@dataclass(frozen=True)
class PowerMap:
    """Power of each cell of a placed design while it computes.

    Attributes
    ----------
    bits : of weights and activations
    milliwatts : float64 of shape (instances,)
        In the order of ``design.full``; without leakage and glitches. What the clock tree takes is
        shared evenly among its buffers.
    """

    design: "PlacedDesign"
    bits: int
    milliwatts: "np.ndarray"


@dataclass(frozen=True)
class PlacedFigures:
    """Figures of a tile in a library's cells, random operands, half of the words zero."""

    library: str
    library_sha256: str
    netlist_sha256: str
    voltage: float
    temperature: float
    period_ns: float
    seed: int
    activity: bool
    """True if nets were weighted by their activity in ``placed``."""
    utilization: float
    tile: TileParameters
    layouts: Mapping[str, Layout]
    """``wire load``, ``plain`` and ``placed``."""
    figures: tuple[PlacedStep, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> "PlacedFigures":
        """Read what :meth:`to_json` gave.

        Raises
        ------
        EnergyError
            If the file is damaged, or of another format.
        """
        with reading(
            path, "a placed tile", form=FORMAT, remedy="write it with `adq dev placed-energy`"
        ) as content:
            figures = tuple(PlacedStep(**figure) for figure in content.pop("figures"))
            layouts = {name: Layout(**each) for name, each in content.pop("layouts").items()}
            tile = TileParameters(**content.pop("tile"))
            return cls(tile=tile, figures=figures, layouts=layouts, **content)


def clock_tree_energy(design: "PlacedDesign", switching: "Switching", counts: "Counts") -> float:
    """FJ of the clock tree: each part of it takes its energy when its clock ticks."""
    total = 0.0
    for net, energy in design.clock.energies.items():
        total += energy * float(counts.toggles[switching.row[net]]) / 2
    return total


def measure_placed(
    parameters: TileParameters,
    liberty: Path,
    *,
    name: str | None,
    bits: Sequence[int],
    glitches: bool,
    activity: bool,
    directory: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> tuple[PlacedFigures, PowerMap]:
    """Place a tile and measure it step by step.

    The map of power is that of the second precision, or of the only one.

    Parameters
    ----------
    name
        Of the library; its own where it is None.
    bits
        Precisions, of weights and activations alike.
    glitches
        Whether every cycle is simulated again with delays.
    activity
        Whether nets are weighted by their activity.
    directory
        Folder for what simulators write.

    Raises
    ------
    PlacementError, LibertyError, SynthesisError, TimingError, CellModelError, SwitchingError
        If the tile cannot be mapped, placed or simulated in the library's cells.
    SimulationError
        If a simulator fails, or a result is wrong.
    """
    from adq.layout.recordings import carried_over, columns_of
    from adq.rtl.tile import Tile
    from adq.verif.gate_level.event_simulation import EventSimulation
    from adq.verif.gate_level.glitches import glitch_energy
    from adq.verif.gate_level.power import PowerModel
    from adq.verif.gate_level.switching import Switching
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.placement.cache import place_cached
    from adq.verif.placement.geometry import Geometry
    from adq.verif.placement.placed import PlaceOptions
    from adq.verif.synthesis.synthesis import PERIOD, synthesize

    library = Library.read(liberty)
    geometry = Geometry.read(library)
    progress("mapping")
    mapped = synthesize(
        Tile(parameters), library, name="tile", period=PERIOD, cache=cache / "synthesis"
    )
    progress("wire load model: building the model")
    tile = GateLevelTile(parameters, library, cache=cache, synthesis=mapped)
    recordings = {}
    activities: list[dict[Net, float]] = []
    for width in bits:
        progress(f"wire load model: {width}x{width} bits")
        found = record_case(tile, width, directory / f"mapped-{width}")
        recordings[width] = found
        counts = tile.switching.count_spans(*found[:2])
        activities.append(dict(zip(tile.switching.nets, counts.toggles.tolist(), strict=True)))

    weights = activity_weights(activities) if activity else None
    as_mapped = PlaceOptions(period=PERIOD, resized=False, useful_skew=False, holds=False)

    def staged(step: str, stage: str) -> None:
        progress(f"{step}: {stage}")

    designs = {
        step: place_cached(
            mapped.netlist,
            library,
            geometry,
            clock=tile.CLOCK,
            cache=cache / "placement",
            options=options,
            weights=weighted,
            progress=functools.partial(staged, step),
        )
        for step, options, weighted in (
            ("plain", as_mapped, None),
            ("placed", PlaceOptions(period=PERIOD), weights),
        )
    }
    layouts = {"wire load": _mapped_layout(mapped)}
    layouts |= {step: _layout(design) for step, design in designs.items()}
    measured = {step: _Measured({}, {}) for step in layouts}
    trees: dict[int, float] = {}
    maps: dict[int, PowerMap] = {}

    switching = {
        step: Switching(design.netlist, library, clock=tile.CLOCK)
        for step, design in designs.items()
    }
    powers = {step: PowerModel(found) for step, found in switching.items()}
    columns = {
        step: columns_of(mapped.netlist, tile.switching.nets, found)
        for step, found in switching.items()
    }
    placed, power = designs["placed"], powers["placed"]
    # Time counts from the first flip-flop that the clock reaches: others switch later.
    wires = placed.netlist.parasitics
    late = 2 * wires.port_arrival if wires else 0.0
    simulation = EventSimulation(power, period=tile.period + late, cache=cache / "models")
    for width, (mapped_recording, spans, macs) in recordings.items():
        progress(f"energy at {width}x{width} bits")
        counts = tile.switching.count_spans(mapped_recording, spans)
        measured["wire load"].energies[width] = _each(tile.power.energy(counts).blocks, macs)
        for step in designs:
            recording = carried_over(mapped_recording, columns[step])
            counts = switching[step].count_spans(recording, spans)
            measured[step].energies[width] = _each(powers[step].energy(counts).blocks, macs)
        # ``placed`` is the last of the designs.
        tree = clock_tree_energy(placed, power.switching, counts)
        trees[width] = tree / macs
        maps[width] = _power_map(placed, power, counts, tree, width, tile.period)
        if glitches:
            progress(f"placed, with delays: {width}x{width} bits")
            delayed = glitch_energy(simulation, recording, spans).delayed
            measured["placed"].delayed[width] = _each(delayed, macs)
    buffer = flip_flop_buffer()
    figures = PlacedFigures(
        library=name or library.name,
        library_sha256=library.digest,
        netlist_sha256=hashlib.sha256(placed.full.to_verilog().encode()).hexdigest(),
        voltage=library.voltage,
        temperature=library.temperature,
        period_ns=PERIOD,
        seed=placed.options.seed,
        activity=activity,
        utilization=placed.options.utilization,
        tile=parameters,
        layouts=layouts,
        figures=tuple(
            PlacedStep(
                weight_bits=width,
                activation_bits=width,
                wire_load=measured["wire load"].energies[width],
                plain=measured["plain"].energies[width],
                placed=measured["placed"].energies[width],
                clock_tree=trees[width],
                delayed=measured["placed"].delayed.get(width),
                # An entry is read and written once a vector, for all outputs of the tile.
                partial_sums=buffer.pj(entry_bits(parameters), width)
                * 1000
                / (parameters.rows * parameters.columns / width),
            )
            for width in bits
        ),
    )
    return figures, maps[bits[min(1, len(bits) - 1)]]


@dataclass(frozen=True)
class _Measured:
    """Energies of one netlist, in fJ a MAC by block, for each precision."""

    energies: dict[int, dict[str, float]]
    delayed: dict[int, dict[str, float]]


def _each(blocks: Mapping[str, float], macs: int) -> dict[str, float]:
    return {block: energy / macs for block, energy in blocks.items()}


def _power_map(
    design: "PlacedDesign",
    power: "PowerModel",
    counts: "Counts",
    tree: float,
    bits: int,
    period: float,
) -> PowerMap:
    import numpy as np

    found = power.of_cells(counts)
    buffers = len(design.full.instances) - len(design.netlist.instances)
    shared = np.full(buffers, tree / max(buffers, 1))
    spent = np.concatenate([found.internal + found.switching + found.clock, shared])
    # fJ over ns is uW.
    return PowerMap(design, bits, spent / (counts.cycles * period) / 1000)


def _mapped_layout(mapped: "Synthesis") -> Layout:
    timing = mapped.timing
    return Layout(mapped.area, timing.delay, float(timing.graph.wire_load.mean()))


def _layout(design: "PlacedDesign") -> Layout:
    return Layout(
        area_um2=design.area,
        longest_path_ns=design.timing.delay,
        mean_wire_ff=design.mean_wire,
        die_um2=design.placement.floorplan.area,
        worst_hold_slack_ns=design.holds[0].slack if design.holds else None,
        hold_violations=sum(hold.slack < 0 for hold in design.holds),
        clock_buffers=design.clock.buffers,
        insertion_delay_ns=design.clock.insertion_delay,
        skew_ns=design.clock.skew,
    )
