"""``adq figures``: draws densities, bits and channels of a run."""

import enum
from pathlib import Path
from typing import Annotated

import typer


class Format(enum.StrEnum):
    """File format of the figures."""

    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


def figures(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run (finished or not), or JSON file of a training result."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder. Default: the folder of the run."),
    ] = None,
    format: Annotated[Format, typer.Option(help="Format of the figures.")] = Format.SVG,
) -> None:
    """Draw the activation density, bits and channels of each layer over the epochs of a run.

    Of a finished run, accuracy against energy is drawn as well.
    """
    from adq.console import Console
    from adq.runs.density_figures import draw, read_history, read_metrics, save
    from adq.runs.pareto_figure import draw_points

    console = Console(markup=False)
    folder = out or (run if run.is_dir() else run.parent)
    title = run.resolve().stem
    drawn = draw(read_history(run), title=title)
    metrics = read_metrics(run)
    points = metrics.get("operating_points", ())
    if any(point["energy_nj"] is not None for point in points):
        tile = metrics["recipe"]["controller"]["tile"]
        drawn["pareto"] = draw_points(points, title=title, tile=tile)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        path = folder / f"{name}.{format}"
        save(figure, path)
        console.print(f"Written: {path}", highlight=False)
