"""The simulation side of the tile: streams played from files, results written to one."""

from pathlib import Path

from rtl.interface import activation_layout, job_layout, result_layout, weight_layout
from rtl.parameters import TileParameters
from rtl.tile import Tile
from verif.activity import CountedDesign, count_activity
from verif.simulator import Build, build

__all__ = ["PORTS", "build_harness"]

PORTS = (
    *("reset", "start", "noise", "expected", "patience", "counter_address"),
    *("done", "hung", "cycles", "counter_data", "switching"),
    *("streams_valid", "streams_ready", "streams_beats"),
)


def build_harness(parameters: TileParameters, cache: Path) -> tuple[Build, CountedDesign]:
    """Model of a tile with counters of its switching, in a harness that plays files into it."""
    design = count_activity(Tile(parameters), name="tile")
    sources = {"tile.v": design.verilog}
    for source in ("beat_source.sv", "tile_harness.sv"):
        sources[source] = (Path(__file__).parent / source).read_text()
    model = build(
        cache,
        top="tile_harness",
        ports=PORTS,
        sources=sources,
        parameters={
            "JOB_WIDTH": job_layout(parameters).size,
            "WEIGHT_WIDTH": weight_layout(parameters).size,
            "ACTIVATION_WIDTH": activation_layout(parameters).size,
            "RESULT_WIDTH": result_layout(parameters).size,
            "SWITCHING_WIDTH": design.switching_width,
            "COUNTER_WIDTH": parameters.counter_bits,
        },
    )
    return model, design
