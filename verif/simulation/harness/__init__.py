"""Harness of the tile in simulation: plays streams from files, and writes results to a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from adq.rtl.interface import activation_layout, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.simulation.simulator import Build, build
from adq.verif.simulation.switching.activity import CountedDesign, count_activity

__all__ = ["PORTS", "build_harness", "build_with_harness"]

PORTS = (
    *("reset", "start", "noise", "separate", "dump", "expected", "patience", "counter_address"),
    *("done", "hung", "cycles", "counter_data", "switching"),
    *("streams_valid", "streams_ready", "streams_beats"),
)


def build_harness(
    parameters: TileParameters,
    cache: Path,
    *,
    nets: bool = False,
    waves: bool = False,
) -> tuple[Build, CountedDesign]:
    """Build the model of a tile with counters of its switching, in a harness that plays files.

    With ``nets`` every net is counted, see ``net_counters``; with ``waves`` runs can write
    waveforms, too.
    """
    design = count_activity(Tile(parameters), name="tile", nets=nets)
    model = build_with_harness(
        parameters,
        cache,
        sources={"tile.v": design.verilog},
        more=["net_counters.sv"] if nets else [],
        switching_width=design.switching_width,
        waves=waves,
    )
    return model, design


def build_with_harness(
    parameters: TileParameters,
    cache: Path,
    *,
    sources: Mapping[str, str],
    more: Sequence[str] = (),
    switching_width: int,
    waves: bool = False,
) -> Build:
    """Build the model of a variant of the tile in the harness. ``sources`` hold a module ``tile``
    with the additional ports ``switching``, ``window`` and ``dump``; ``more`` are further files of
    this folder.
    """
    folder = Path(__file__).parent
    files = ("beat_source.sv", "tile_harness.sv", *more)
    return build(
        cache,
        top="tile_harness",
        ports=PORTS,
        sources=dict(sources) | {file: (folder / file).read_text() for file in files},
        parameters={
            "JOB_WIDTH": job_layout(parameters).size,
            "WEIGHT_WIDTH": weight_layout(parameters).size,
            "ACTIVATION_WIDTH": activation_layout(parameters).size,
            "RESULT_WIDTH": result_layout(parameters).size,
            "WEIGHT_BEATS": parameters.weight_beats,
            "SWITCHING_WIDTH": switching_width,
            "COUNTER_WIDTH": parameters.counter_bits,
        },
        waves=waves,
    )
