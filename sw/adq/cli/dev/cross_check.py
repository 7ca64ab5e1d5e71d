"""``adq dev cross-check``"""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def cross_check(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Liberty file of the library, gzipped or not.")
    ],
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the library; its own name, if left out."),
    ] = None,
    placed: Annotated[
        bool, typer.Option("--placed", help="Place the tile, and compare with its wires.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the comparison goes.")] = Path(
        "build/cross-check"
    ),
) -> None:
    """Compare longest path and power of a mapped tile with OpenSTA's, where it is installed.

    The tile without its partial sum buffer, at 8x8 bits, half of the words zero, loading and
    computing. Without OpenSTA nothing is compared, and a line says so.
    """
    import dataclasses

    from rich.table import Table

    from adq.console import Console
    from adq.energy import cross_check as checks
    from adq.energy.gate_level.random_cases import RandomCase
    from adq.files import write_json
    from adq.golden.files.directory import scratch_directory
    from adq.verif.gate_level.tile import GateLevelTile
    from adq.verif.liberty.library import Library
    from adq.verif.synthesis.synthesis import Synthesis

    if checks.opensta_version() is None:
        typer.echo("skipped: there is no OpenSTA here (sta): sudo apt-get install opensta")
        return
    parameters = dataclasses.replace(read_tile(tile, rows, columns), row_blocks=1, partial_sums=0)
    console = Console()
    library = Library.read(liberty)
    design, synthesis, spef, kind = None, None, None, ""
    if placed:
        from adq.layout.cross_check import ideal_clock, opensta_longest_path, place_tile

        with console.status("placing the tile"):
            design = place_tile(parameters, library, cache=CACHE.parent)
        netlist, spef = ideal_clock(design)
        synthesis, kind = Synthesis(netlist, library), "-placed"
    with console.status("mapping the tile and building its model"):
        mapped = GateLevelTile(parameters, library, cache=CACHE.parent, synthesis=synthesis)
    jobs = RandomCase("uniform", 8, 8, 0.5).jobs(parameters)
    with (
        console.status("asking OpenSTA"),
        scratch_directory(CACHE.parent, "cross-check") as scratch,
    ):
        found = checks.cross_check(
            mapped, jobs, name=name or library.name, directory=scratch, spef=spef
        )
        if design is not None:
            path_ns = opensta_longest_path(
                design, clock=mapped.CLOCK, directory=scratch / "with-clock-tree"
            )
    table = Table(title=f"{found.rows}x{found.columns} in {found.library}, 8x8 bits")
    for heading in ("", f"OpenSTA {found.version}", "here", "difference"):
        table.add_column(heading, justify="right" if heading else "left")

    def row(what: str, pair: checks.Pair) -> None:
        table.add_row(what, f"{pair.opensta:.3f}", f"{pair.ours:.3f}", f"{pair.difference:+.1%}")

    row("longest path, ns", found.longest_path_ns)
    if design is not None:
        row("with the clock tree, ns", checks.Pair(path_ns, design.timing.delay))
    for window in found.net_mw:
        row(f"{window}: nets, mW", found.net_mw[window])
        for block, pair in found.block_net_mw[window].items():
            row(f"    {block}", pair)
        if found.internal_mw is not None:
            row(f"{window}: inside cells, mW", found.internal_mw[window])
    console.print(table)
    if found.message:
        console.print(found.message, highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{found.library}-{found.rows}x{found.columns}{kind}.json"
    write_json(path, found.to_json())
    console.print(f"Written: {path}", highlight=False)
