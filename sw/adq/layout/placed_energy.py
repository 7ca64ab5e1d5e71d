"""Energy of a tile as placed, step by step from the wire load model on."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adq.energy.gate_level.placed_figures import Layout, PlacedFigures, PlacedStep
from adq.energy.memory.partial_sums import entry_bits, flip_flop_buffer
from adq.layout.activity import activity_weights, record_case
from adq.rtl.parameters import TileParameters

if TYPE_CHECKING:
    import numpy as np

    from adq.verif.gate_level.power import PowerModel
    from adq.verif.gate_level.switching import Counts
    from adq.verif.placement.placed import PlacedDesign
    from adq.verif.synthesis.netlist import Net
    from adq.verif.synthesis.synthesis import Synthesis

__all__ = ["PowerMap", "measure_placed"]


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


def measure_placed(
    parameters: TileParameters,
    liberty: Path,
    *,
    name: str | None,
    bits: Sequence[int],
    glitches: bool,
    activity: bool,
    period: float,
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
    period
        ns that cells are sized for.
    directory
        Folder for what simulators write.

    Raises
    ------
    PlacementError, LibertyError, SynthesisError, TimingError, CellModelError, SwitchingError
        If the tile cannot be mapped, placed or simulated in the library's cells.
    SimulationError
        If a simulator fails, or a result is wrong.
    """
    from adq.layout.placed_tile import PlacedTile, clock_tree_cells
    from adq.layout.recordings import carried_over
    from adq.rtl.tile import Tile
    from adq.verif.gate_level.delays.glitches import glitch_energy
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.placement.cache import place_cached
    from adq.verif.placement.geometry import Geometry
    from adq.verif.placement.placed import PlaceOptions
    from adq.verif.synthesis.synthesis import synthesize

    library = Library.read(liberty)
    geometry = Geometry.read(library)
    progress("mapping")
    mapped = synthesize(
        Tile(parameters), library, name="tile", period=period, cache=cache / "synthesis"
    )
    progress("wire load model: building the model")
    tile = GateLevelTile(parameters, library, cache=cache, synthesis=mapped, period=period)
    recordings = {}
    activities: list[dict[Net, float]] = []
    for width in bits:
        progress(f"wire load model: {width}x{width} bits")
        found = record_case(tile, width, directory / f"mapped-{width}")
        recordings[width] = found
        counts = tile.switching.count_spans(*found[:2])
        activities.append(dict(zip(tile.switching.nets, counts.toggles.tolist(), strict=True)))

    weights = activity_weights(activities) if activity else None
    as_mapped = PlaceOptions(period=period, resized=False, useful_skew=False, holds=False)

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
            ("placed", PlaceOptions(period=period), weights),
        )
    }
    layouts = {"wire load": _mapped_layout(mapped)}
    layouts |= {step: _layout(design) for step, design in designs.items()}
    measured = {step: _Measured({}, {}) for step in layouts}
    trees: dict[int, float] = {}
    maps: dict[int, PowerMap] = {}

    tiles = {
        step: PlacedTile.of(tile, design, activity=activity, cache=cache / "models")
        for step, design in designs.items()
    }
    placed, power = designs["placed"], tiles["placed"].power
    for width, (mapped_recording, spans, macs) in recordings.items():
        progress(f"energy at {width}x{width} bits")
        counts = tile.switching.count_spans(mapped_recording, spans)
        measured["wire load"].energies[width] = _each(tile.power.energy(counts).blocks, macs)
        for step, each in tiles.items():
            recording = carried_over(mapped_recording, each.columns)
            counts = each.switching.count_spans(recording, spans)
            measured[step].energies[width] = _each(each.power.energy(counts).blocks, macs)
        # ``placed`` is the last of the designs.
        gated, root = clock_tree_cells(placed, power, counts)
        tree = float(gated.sum()) + root
        trees[width] = tree / macs
        maps[width] = _power_map(placed, power, counts, tree, width, tile.period)
        if glitches:
            progress(f"placed, with delays: {width}x{width} bits")
            delayed = glitch_energy(tiles["placed"].simulation, recording, spans).delayed
            measured["placed"].delayed[width] = _each(delayed, macs)
    buffer = flip_flop_buffer()
    figures = PlacedFigures(
        library=name or library.name,
        library_sha256=library.digest,
        netlist_sha256=hashlib.sha256(placed.full.to_verilog().encode()).hexdigest(),
        voltage=library.voltage,
        temperature=library.temperature,
        period_ns=period,
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
