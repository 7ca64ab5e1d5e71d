"""`adq sim`: simulates golden artifacts on the tile's RTL."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import (
    CACHE,
    DEFAULT_TILE,
    LIBRARY,
    ColumnsOption,
    ImagesOption,
    LibraryOption,
    RowsOption,
    TileOption,
    read_tile,
)


def sim(
    artifacts: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR",
            help="Golden artifacts. The costs of each are compared with the first artifact that "
            "has the same layers.",
        ),
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: ImagesOption = None,
    library: LibraryOption = LIBRARY,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="NAME|FILE",
            help="Run whole networks on a platform, from one start to one interrupt, "
            "in place of layers on a tile.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of logs and simulation.json."),
    ] = Path("build/sim"),
) -> None:
    """Simulate networks on the tile's RTL, check every accumulator and count switching.

    The energy is that of the counted switching. The exit status is 1 if an accumulator or a class
    differs from the golden artifact, if a layer does not take the planned cycles, or if the energy
    predicted from its operands differs from the counted energy.

    With --platform, the network's program runs on the platform's RTL, with a memory on its bus. The
    exit status is 1 if a word that a layer writes, or a result, differs, or if the counters of
    cycles do not add up.
    """
    if platform is not None:
        from adq.cli.platform_simulation import simulate_artifacts

        if (tile, rows, columns, library) != (DEFAULT_TILE, None, None, LIBRARY):
            raise typer.BadParameter(
                "give --platform, or a tile's --tile, --rows, --columns and --library"
            )
        if not simulate_artifacts(artifacts, platform, images, out):
            raise typer.Exit(1)
        return
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
            artifacts,
            parameters,
            images,
            out,
            CACHE,
            lambda text: status.update(escape(text)),
            library=library,
        )
    summary = report_networks(runs, console)
    write_json(out / "simulation.json", summary)
    console.print(f"Written: {out / 'simulation.json'}", highlight=False)
    if not summary["agrees"]:
        raise typer.Exit(1)
