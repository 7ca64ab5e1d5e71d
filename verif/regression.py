"""The regression: cocotb tests of every block alone and of the whole tile through its ports."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rtl.parameters import TileParameters
from rtl.tile import Tile
from rtl.verilog import to_verilog
from verif.results import TestResult, read_results
from verif.simulator import Build, build
from verif.workbench import build_workbench

__all__ = [
    "BLOCKS",
    "BLOCK_TILES",
    "MORE_BLOCK_TILES",
    "MORE_PORT_TILES",
    "run_block_tests",
    "run_port_tests",
]

BLOCKS = (
    *("column_counter", "weight_array", "feeder", "sequencer", "counters"),
    *("fuser", "accumulator", "collector", "partial_sums", "shift_add"),
)
"""Blocks with a bench of their own in ``verif/cocotb/``."""

BLOCK_TILES = (
    # Counters that wrap soon, but of more than one word.
    TileParameters(rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6, counter_bits=10),
    # Two rows a beat and half a beat too many; no partial sums.
    TileParameters(rows=33, columns=32, row_blocks=1, partial_sums=0, vectors=300),
)
"""Tiles whose blocks are tested every time: small ones, for which operands can be exhausted."""

MORE_BLOCK_TILES = (
    # One row and many lanes: every 16-bit weight.
    TileParameters(rows=1, columns=256, row_blocks=2, partial_sums=1, vectors=65535),
    TileParameters(rows=2, columns=16, row_blocks=7, partial_sums=3, vectors=1),
    TileParameters(rows=3, columns=48, row_blocks=65536, partial_sums=5, vectors=2**24),
    TileParameters(rows=8, columns=16, row_blocks=1, partial_sums=0, vectors=7),
    TileParameters(rows=32, columns=16, row_blocks=255, partial_sums=63),
    TileParameters(rows=64, columns=64),
    TileParameters(rows=100, columns=80, row_blocks=256, partial_sums=100),
    TileParameters(rows=1024, columns=16, row_blocks=65536, partial_sums=2),
)
"""Tiles that the long regression adds for blocks: the ends of every parameter's range."""

MORE_PORT_TILES = (
    # Operands can be exhausted.
    TileParameters(rows=1, columns=16, row_blocks=2, partial_sums=2, vectors=300),
    TileParameters(rows=2, columns=32, row_blocks=1, partial_sums=0, vectors=17),
    TileParameters(rows=33, columns=48, row_blocks=5, partial_sums=3),
    *(
        TileParameters(rows=rows, columns=columns)
        for rows, columns in ((16, 16), (32, 64), (64, 64), (128, 64), (128, 128), (256, 128))
    ),
)
"""Tiles that the long regression adds for ports."""

STREAMS = ("jobs", "weights", "activations", "results")

PORTS = (
    *("clk", "rst", "counter_address", "counter_data"),
    *(f"{name}__{wire}" for name in STREAMS for wire in ("valid", "ready", "payload")),
)


def run_block_tests(
    tile: TileParameters,
    *,
    directory: Path,
    cache: Path,
    seed: int = 1,
    blocks: Sequence[str] = BLOCKS,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[TestResult]:
    """Run the tests of a tile's blocks, each block by itself.

    Raises
    ------
    verif.simulator.SimulationError
        If the model cannot be built, or the simulator ends without results.
    """
    name = f"blocks-{_name(tile)}"
    progress(f"building {name}")
    model = build_workbench(tile, cache)
    progress(f"testing {name}")
    return _run(model, tile, blocks, directory / name, seed)


def run_port_tests(
    tile: TileParameters,
    *,
    directory: Path,
    cache: Path,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[TestResult]:
    """Run the tests of a tile through its ports.

    Raises
    ------
    verif.simulator.SimulationError
        If the model cannot be built, or the simulator ends without results.
    """
    name = f"tile-{_name(tile)}"
    progress(f"building {name}")
    sources = {"tile.v": to_verilog(Tile(tile), name="tile")}
    model = build(cache, top="tile", ports=PORTS, sources=sources)
    progress(f"testing {name}")
    return _run(model, tile, ["tile"], directory / name, seed)


def _name(tile: TileParameters) -> str:
    sums = f"{tile.row_blocks}x{tile.partial_sums}"
    return f"{tile.rows}x{tile.columns}-{sums}-{tile.vectors}"


def _run(
    model: Build, tile: TileParameters, folders: Sequence[str], directory: Path, seed: int
) -> list[TestResult]:
    """Run the tests of folders of ``verif/cocotb/`` in one simulation."""
    model.run(
        ",".join(f"verif.cocotb.{folder}.test_{folder}" for folder in folders),
        directory=directory.resolve(),
        environment={"ADQ_TILE": json.dumps(asdict(tile))},
        seed=seed,
    )
    return [
        replace(result, name=f"{directory.name} {result.name}")
        for result in read_results(directory / "results.xml")
    ]
