"""The short regression: cocotb tests of the tile's ports, at the size asked for."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rtl.parameters import TileParameters
from rtl.tile import Tile
from rtl.verilog import to_verilog
from verif.results import TestResult, read_results
from verif.simulator import build

__all__ = ["MODULES", "run_port_tests"]

STREAMS = ("jobs", "weights", "activations", "results")

PORTS = (
    *("clk", "rst", "counter_address", "counter_data"),
    *(f"{name}__{wire}" for name in STREAMS for wire in ("valid", "ready", "payload")),
)

MODULES = ("verif.cocotb.tile.test_tile",)
"""Modules of tests that drive the tile's ports."""


def run_port_tests(
    tile: TileParameters,
    *,
    directory: Path,
    cache: Path,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[TestResult]:
    """Run every test of :data:`MODULES` on a tile; each module in a directory of its own.

    Raises
    ------
    verif.simulator.SimulationError
        If the model cannot be built, or the simulator ends without results.
    """
    progress(f"building the {tile.rows}x{tile.columns} tile for its port tests")
    sources = {"tile.v": to_verilog(Tile(tile), name="tile")}
    model = build(cache, top="tile", ports=PORTS, sources=sources)
    results = []
    for module in MODULES:
        progress(f"running {module}")
        run = directory / module.rsplit(".", 1)[-1]
        model.run(
            module,
            directory=run.resolve(),
            environment={"ADQ_TILE": json.dumps(asdict(tile))},
            seed=seed,
        )
        results += read_results(run / "results.xml")
    return results
