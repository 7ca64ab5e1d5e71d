"""Lists of runs: for each commit, for a night, for all tile sizes, and for coverage."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.regression.runs import Bench, Run
from adq.verif.simulation.simulator import SimulationError

__all__ = [
    "BLOCK_TILES",
    "COVERED_TILES",
    "EDGE_TILES",
    "LARGEST_TILES",
    "MORE_BLOCK_TILES",
    "MORE_PORT_TILES",
    "NIGHTLY_TILES",
    "SMALL_TILE",
    "covered_runs",
    "long_runs",
    "nightly_runs",
    "only_some",
    "seeds_of",
    "short_runs",
]

SMALL_TILE = TileParameters(
    rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6, counter_bits=10
)
"""Small enough for operands to be exhausted, with a partial sum buffer, and counters of more than
one word that wrap soon."""

BLOCK_TILES = (
    SMALL_TILE,
    # Two rows a beat and half a beat too many; no partial sums; another adder tree.
    TileParameters(
        rows=33,
        columns=32,
        row_blocks=1,
        partial_sums=0,
        vectors=300,
        arithmetic="ripple_carry",
    ),
)
"""Tiles whose blocks are tested every time."""

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


NIGHTLY_TILES = (
    (Bench.BLOCKS, BLOCK_TILES[1]),
    (Bench.TILE, TileParameters(rows=16, columns=16, row_blocks=4, partial_sums=8, vectors=40)),
    (Bench.TILE, TileParameters(rows=2, columns=32, row_blocks=1, partial_sums=0, vectors=17)),
    (
        Bench.TILE,
        TileParameters(
            rows=33, columns=48, row_blocks=5, partial_sums=3, arithmetic="ripple_carry"
        ),
    ),
)
"""Tiles that the nightly regression runs from every tenth seed; the small tile runs from all."""


_EDGES = """
rows columns row_blocks partial_sums  vectors counter_bits   arithmetic
   1      16          1            0        1           64 ripple_carry
   1      48          1            5        1           64 ripple_carry
   1      48          2            5 16777216            8 three_greedy
   1      48      65536            1 16777216           64 three_greedy
   5      16          1            0 16777216           64 three_greedy
   5      16          2            1        1            8 ripple_carry
   5      16      65536            5        1            8 ripple_carry
   5      48          1            1 16777216            8 ripple_carry
  33      16          2            1        1           64 three_greedy
  33      16      65536            5 16777216           64 ripple_carry
  33      48          1            0        1            8 ripple_carry
"""


def _tiles(table: str) -> tuple[TileParameters, ...]:
    names, *rows = (line.split() for line in table.strip().splitlines())
    return tuple(
        TileParameters(**dict(zip(names, (*map(int, sizes), arithmetic), strict=True)))
        for *sizes, arithmetic in rows
    )


EDGE_TILES = _tiles(_EDGES)
"""Tiles at the ends of the parameters' ranges, small enough for a night: every two values of two
parameters that a tile can have together stand in one of them. Their ports are tested from the first
seed of a night."""

LARGEST_TILES = (
    TileParameters(rows=1024, columns=16, row_blocks=2, partial_sums=3),
    TileParameters(rows=1024, columns=16, row_blocks=1, partial_sums=0, vectors=1),
    TileParameters(rows=1, columns=1024, row_blocks=2, partial_sums=3),
)
"""Tiles with the most rows or columns, whose ports are tested from the first seed of a night. A run
takes about two minutes of CPU time. No tile has the most of both: see ``MAXIMUM_CELLS`` in
``rtl/pim_tile/weight_array.py``."""


def nightly_runs(seeds: int, exhaustive: Sequence[str]) -> list[Run]:
    """Return the runs of seeds 1 to ``seeds``. Tests without random choices run from the first seed
    only.
    """
    runs = []
    for seed in range(1, seeds + 1):
        some = [(bench, SMALL_TILE) for bench in Bench]
        some += NIGHTLY_TILES if seed % 10 == 1 else ()
        if seed == 1:
            some += [(Bench.TILE, tile) for tile in (*EDGE_TILES, *LARGEST_TILES)]
        for bench, tile in some:
            left_out = [name for name in exhaustive if name.partition(".")[0] in bench.folders]
            runs.append(
                Run(
                    bench=bench,
                    tile=tile,
                    seed=seed,
                    leave_out=tuple(left_out) if seed > 1 else (),
                )
            )
    return runs


def seeds_of(tests: Sequence[dict]) -> dict[str, int]:
    """Return the number of seeds that each test was run from."""
    seeds: dict[str, set[int]] = {}
    for test in tests:
        seeds.setdefault(test["test"], set()).add(test["seed"])
    return {name: len(several) for name, several in sorted(seeds.items())}


COVERED_TILES = (
    SMALL_TILE,
    # Two rows a beat, half a beat too many, and no partial sums; counters that wrap, too.
    TileParameters(rows=33, columns=16, row_blocks=1, partial_sums=0, vectors=12, counter_bits=9),
)
"""Tiles whose structural coverage is counted: small ones, of both kinds that are generated."""


def covered_runs(seeds: Sequence[int]) -> list[Run]:
    """Return the runs that coverage is counted in."""
    return [
        Run(bench=bench, tile=tile, seed=seed)
        for seed in seeds
        for tile in COVERED_TILES
        for bench in Bench
        if bench is not Bench.PLATFORM or tile == SMALL_TILE  # its blocks are always the same
    ]


def short_runs(tile: TileParameters, seed: int) -> list[Run]:
    """Return the runs of each commit: small tiles first, which show a fault soonest, then the given
    tile.
    """
    return [
        Run(bench=Bench.BLOCKS, tile=SMALL_TILE, seed=seed),
        Run(bench=Bench.TILE, tile=SMALL_TILE, seed=seed),
        Run(bench=Bench.PLATFORM, tile=SMALL_TILE, seed=seed),
        *([Run(bench=Bench.TILE, tile=tile, seed=seed)] if tile != SMALL_TILE else []),
        *(Run(bench=Bench.BLOCKS, tile=t, seed=seed) for t in BLOCK_TILES if t != SMALL_TILE),
    ]


def long_runs(tile: TileParameters, seed: int) -> list[Run]:
    """Return the short runs, and runs of all other tile sizes on the lists."""
    return [
        *short_runs(tile, seed),
        *(Run(bench=Bench.BLOCKS, tile=other, seed=seed) for other in MORE_BLOCK_TILES),
        *(Run(bench=Bench.TILE, tile=t, seed=seed) for t in MORE_PORT_TILES if t != tile),
    ]


def only_some(runs: Sequence[Run], names: Sequence[str], tests: Iterable[str]) -> list[Run]:
    """Return the runs that have some tests, without their other tests.

    Parameters
    ----------
    names
        Folders of ``verif/cocotb/``, such as ``walker``, and tests of them, such as
        ``walker.any_layers``.
    tests
        All tests, as ``folder.test``.

    Raises
    ------
    SimulationError
        If a name is of no test of these runs.
    """
    folders = {folder for run in runs for folder in run.folders}
    known = [test for test in tests if test.partition(".")[0] in folders]
    for name in names:
        if name not in known and name not in folders:
            near = difflib.get_close_matches(name, [*folders, *known], n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"blocks are {', '.join(sorted(folders))}"
            )
            raise SimulationError(f"{name} is no block and no test of one: {hint}")
    left_out = [test for test in known if not {test, test.partition(".")[0]} & set(names)]
    return [
        replace(
            run, leave_out=tuple(test for test in left_out if test.partition(".")[0] in run.folders)
        )
        for run in runs
        if any(name.partition(".")[0] in run.folders for name in names)
    ]
