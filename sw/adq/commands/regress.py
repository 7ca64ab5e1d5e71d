"""`adq regress`: the RTL regression, behind `make sim`."""

from pathlib import Path
from typing import Annotated

import typer

from adq.tile_options import CACHE, ColumnsOption, RowsOption, TileOption, read_tile


def regress(
    artifacts: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Golden artifacts to run as well.")
    ],
    tile: TileOption = Path("configs/tile/64x64.toml"),
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also at every other size on the list: takes long.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random tests.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where logs and regression.json go.")
    ] = Path("build/regression"),
) -> None:
    """Test blocks of small tiles, then the tile through its ports; run golden artifacts on it.

    Exit status 1 if a test fails or an integer differs.
    """
    parameters = read_tile(tile, rows, columns)

    from rich.console import Console

    from adq.files import write_json
    from adq.simulation import report_networks, simulate_networks
    from verif import regression

    block_tiles, port_tiles = [*regression.BLOCK_TILES], [parameters]
    if every:
        block_tiles += regression.MORE_BLOCK_TILES
        port_tiles += [tile for tile in regression.MORE_PORT_TILES if tile != parameters]
    console = Console()
    tests = []
    with console.status("starting") as status:
        given = {"directory": out, "cache": CACHE, "seed": seed, "progress": status.update}
        for tile_of_blocks in block_tiles:
            tests += regression.run_block_tests(tile_of_blocks, **given)
        for tile_of_ports in port_tiles:
            tests += regression.run_port_tests(tile_of_ports, **given)
    runs = simulate_networks(artifacts, parameters, None, out, CACHE, console)
    summary = report_networks(runs, console)
    for test in tests:
        if not test.passed:
            console.print(f"FAIL {test.name}: {test.message}", style="red", markup=False)
    failed = sum(not test.passed for test in tests) + sum(not run["agrees"] for run in runs)
    passed = len(tests) + len(runs) - failed
    summary["tests"] = [{"name": t.name, "passed": t.passed, "message": t.message} for t in tests]
    summary |= {"passed": passed, "failed": failed, "seed": seed}
    write_json(out / "regression.json", summary)
    console.print(
        f"{parameters.rows}x{parameters.columns} tile, seed {seed}; logs in {out}", highlight=False
    )
    console.print(f"{passed} passed, {failed} failed", style="red" if failed else "green")
    if failed:
        raise typer.Exit(1)
