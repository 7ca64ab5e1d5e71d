"""``adq activity``"""

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


def activity(
    artifacts: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Golden artifacts.")],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: ImagesOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where SAIF files and activity.json go.")
    ] = Path("build/activity"),
) -> None:
    """Count the toggles of every net of the tile's RTL while it runs networks, as SAIF.

    One file a layer and window: weight load and compute, which take turns here, and the reset in
    front of them. Exit status 1 if an accumulator differs from the golden one, or a net is missing.
    """
    parameters = read_tile(tile, rows, columns)

    from adq.activity import activity_table, measure_activity
    from adq.console import Console, print_whole
    from adq.files import write_json

    console = Console(markup=False)
    runs = []
    for number, artifact in enumerate(artifacts):
        directory = out / f"{number}-{artifact.name}"
        run = measure_activity(artifact, parameters, images, directory, CACHE, console)
        runs.append(run)
        if run["failure"]:
            console.print(
                f"FAIL {artifact}: {run['failure']}", style="red", markup=False, highlight=False
            )
            continue
        table = activity_table(run)
        print_whole(table, console)
        console.print(
            f"{run['accumulators']:,} accumulators, {run['mismatches']:,} mismatches; "
            f"{run['seconds']} s; SAIF in {directory}",
            highlight=False,
        )
    write_json(out / "activity.json", {"runs": runs})
    console.print(f"Written: {out / 'activity.json'}", highlight=False)
    if not all(run["agrees"] and run["annotated"] == 1 for run in runs):
        raise typer.Exit(1)
