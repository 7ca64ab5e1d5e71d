"""`adq sim`: golden artifacts on the tile."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import (
    CACHE,
    DEFAULT_TILE,
    ColumnsOption,
    ImagesOption,
    RowsOption,
    TileOption,
    read_tile,
)


def sim(
    artifacts: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            help="Golden artifacts; costs are compared with the first's of the same layers.",
        ),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: ImagesOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where logs and simulation.json go.")
    ] = Path("build/sim"),
) -> None:
    """Run networks on the tile's RTL model, check every accumulator, and tell the energy of the
    switching that was counted.

    Exit status 1 if an accumulator or a class differs from the golden one, a layer takes other
    cycles than planned, or its energy by the operands is not that of the switching.
    """
    parameters = read_tile(tile, rows, columns)

    from rich.markup import escape

    from adq.console import Console
    from adq.files import write_json
    from adq.simulation import report_networks, simulate_networks

    console = Console(markup=False)
    # A run that breaks off leaves no summary, rather than that of the run before.
    (out / "simulation.json").unlink(missing_ok=True)
    with console.status("starting") as status:
        runs = simulate_networks(
            artifacts, parameters, images, out, CACHE, lambda text: status.update(escape(text))
        )
    summary = report_networks(runs, console)
    write_json(out / "simulation.json", summary)
    console.print(f"Written: {out / 'simulation.json'}", highlight=False)
    if not summary["agrees"]:
        raise typer.Exit(1)
