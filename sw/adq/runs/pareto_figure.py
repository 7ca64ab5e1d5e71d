"""Figure of a run's operating points: accuracy against energy."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from adq.runs.density_figures import FigureError, scale, styled

__all__ = ["draw_points"]


@styled
def draw_points(points: Sequence[Mapping[str, Any]], *, title: str, tile: str) -> Figure:
    """Draw accuracy against energy of the rows of a run's ``operating_points``.

    Raises
    ------
    FigureError
        If no row has an energy.

    """
    points = [point for point in points if point["energy_nj"] is not None]
    if not points:
        raise FigureError("the run has no energies: train with a tile in [controller]")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    mixed = [point for point in points if point["name"].startswith("iteration")]
    uniform = [point for point in points if point not in mixed]
    for group, marker, colour, label in (
        (mixed, "o-", scale()(0.25), "end of an iteration"),
        (uniform, "s--", scale()(0.85), "baseline; not trained at 8 and 4 bits"),
    ):
        if group:
            axes.plot(
                [point["energy_nj"] for point in group],
                [100 * point["accuracy"] for point in group],
                marker,
                color=colour,
                label=label,
            )
        for point in group:
            axes.annotate(
                f"{point['name']} ({point['average_bits']:.1f})",
                (point["energy_nj"], 100 * point["accuracy"]),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.15)
    axes.grid(color="0.9")
    axes.legend(frameon=False, loc="lower right")
    axes.set(
        title=f"{title}: accuracy against energy (bits a MAC)",
        xlabel=f"energy of computing an image on {tile}, nJ",
        ylabel="test accuracy, %",
    )
    return figure
