"""``adq activity``: counts toggles of every net in RTL simulation."""

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


def activity(
    artifacts: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Golden artifacts to simulate.")
    ],
    tile: TileOption = DEFAULT_TILE,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    images: ImagesOption = None,
    library: LibraryOption = LIBRARY,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of SAIF files and activity.json."),
    ] = Path("build/activity"),
) -> None:
    """Simulate networks on the tile's RTL and write the toggles of every net as SAIF.

    The command writes one SAIF file for each layer and window: reset, weight load and compute. Load
    and compute do not overlap in this simulation. The exit status is 1 if an accumulator differs
    from the golden artifact, if a net is missing, or if the energy predicted from a layer's
    operands differs from that of the counted switching.
    """
    parameters = read_tile(tile, rows, columns)

    from adq.activity import activity_table, measure_activity
    from adq.console import Console, print_whole
    from adq.files import write_json

    console = Console(markup=False)
    # A run that breaks off leaves no summary, rather than that of the run before.
    (out / "activity.json").unlink(missing_ok=True)
    found = []
    for number, artifact in enumerate(artifacts):
        directory = out / f"{number}-{artifact.name}"
        measured = measure_activity(
            artifact, parameters, images, directory, CACHE, console, library
        )
        run = measured.run
        found.append(measured)
        failure = [run.failure] if run.failure else []
        for problem in [*failure, *measured.energies.problems]:
            line = f"FAIL {artifact}: {problem}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        if run.failure:
            continue
        print_whole(activity_table(measured), console)
        for label in measured.energies.labels:
            console.print(label, markup=False, highlight=False)
        console.print(
            f"{run.accumulators:,} accumulators, {run.mismatches:,} mismatches; "
            f"{measured.seconds} s; SAIF in {directory}",
            highlight=False,
        )
    write_json(out / "activity.json", {"runs": [measured.to_json() for measured in found]})
    console.print(f"Written: {out / 'activity.json'}", highlight=False)
    if not all(measured.agrees for measured in found):
        raise typer.Exit(1)
