"""Pictures of a placed design: its blocks, its power density, its longest path."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from adq.files import replacing
from adq.verif.placement.placed import PlacedDesign
from adq.verif.synthesis.paths import longest_paths

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

__all__ = ["draw_blocks", "draw_power", "save_picture"]

STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "adq",
}

EMPTY = "#f2f2f2"
"""Rows without a cell."""

BLUR = 5.0
"""um over which power is averaged: about the pitch of a power strap."""


def draw_blocks(design: PlacedDesign) -> Figure:
    """Draw the die with each cell in the colour of its block, and the longest path on it."""
    blocks = list(dict(sorted(design.area.items(), key=lambda each: -each[1])))
    colours = [matplotlib.colormaps["tab20"](i % 20)[:3] for i in range(len(blocks))]
    number = {block: i for i, block in enumerate(blocks)}
    owners = np.array([number[instance.block] for instance in design.full.instances], int)
    with matplotlib.rc_context(STYLE):
        figure, axes = _die(design, "Blocks, and the longest path")
        image = np.empty((*_shape(design), 3))
        image[:] = matplotlib.colors.to_rgb(EMPTY)
        for site, row, width, owner in _cells(design, owners):
            image[row, site : site + width] = colours[owner]
        _show(axes, design, image)
        _path(axes, design)
        handles = [
            Patch(color=colour, label=f"{block}, {design.area[block]:,.0f} um2")
            for block, colour in zip(blocks, colours, strict=True)
        ]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def draw_power(design: PlacedDesign, power: Sequence[float] | np.ndarray, title: str) -> Figure:
    """Draw the density of power over the die.

    Parameters
    ----------
    power
        mW of each instance of the whole netlist.
    """
    geometry = design.placement.floorplan.geometry
    density = np.zeros(_shape(design))
    for site, row, width, milliwatts in _cells(design, np.asarray(power)):
        density[row, site : site + width] += milliwatts / width
    # mW a site to W/cm2: 1 mW/um2 is 1e5 W/cm2.
    density *= 1e5 / (geometry.site_width * geometry.row_height)
    for axis, step in ((0, geometry.row_height), (1, geometry.site_width)):
        density = _averaged(density, max(1, round(BLUR / step)), axis)
    with matplotlib.rc_context(STYLE):
        figure, axes = _die(design, title)
        shown = _show(axes, design, density, cmap="inferno")
        figure.colorbar(shown, ax=axes, label="W/cm2", shrink=0.8)
    return figure


def save_picture(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all; the ending tells its format."""
    with replacing(path) as temporary:
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(
            temporary, format=path.suffix[1:], dpi=150, bbox_inches="tight", metadata=metadata
        )


def _averaged(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Mean over ``size`` neighbours along an axis; at the ends, over those that are there."""
    kernel = np.ones(size)

    def along(line: np.ndarray) -> np.ndarray:
        return np.convolve(line, kernel, "same") / np.convolve(np.ones(len(line)), kernel, "same")

    if size > values.shape[axis]:
        return values
    return np.apply_along_axis(along, axis, values)


def _shape(design: PlacedDesign) -> tuple[int, int]:
    plan = design.placement.floorplan
    return plan.rows, plan.sites


def _cells(design: PlacedDesign, values: np.ndarray) -> Iterator[tuple[int, int, int, Any]]:
    """Site, row, width and value of each cell."""
    placement = design.placement
    widths = placement.floorplan.geometry.widths(i.cell for i in design.full.instances)
    return zip(
        placement.site.tolist(), placement.row.tolist(), widths, values.tolist(), strict=True
    )


def _die(design: PlacedDesign, title: str) -> tuple[Figure, Axes]:
    plan = design.placement.floorplan
    figure = Figure(figsize=(8, 8 * plan.height / plan.width * 0.75 + 0.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{title}: {len(design.full.instances):,} cells, {design.library.name}")
    axes.set_xlabel("um")
    axes.set_ylabel("um")
    for macro in plan.macros:
        corner = (macro.x, macro.y)
        axes.add_patch(Rectangle(corner, macro.width, macro.height, color="#888888", zorder=3))
        middle = macro.x + macro.width / 2, macro.y + macro.height / 2
        axes.annotate(macro.name, middle, ha="center", va="center", zorder=4)
    return figure, axes


def _show(axes: Axes, design: PlacedDesign, image: np.ndarray, **options: Any) -> AxesImage:
    plan = design.placement.floorplan
    extent = (0, plan.width, 0, plan.height)
    return axes.imshow(
        image, origin="lower", extent=extent, aspect="equal", interpolation="nearest", **options
    )


def _path(axes: Axes, design: PlacedDesign) -> None:
    """Draw the longest path from cell to cell."""
    placement = design.placement
    geometry = placement.floorplan.geometry
    number = {instance.name: i for i, instance in enumerate(design.netlist.instances)}
    for path in longest_paths(design.timing):
        places = [number[stage.instance] for stage in path.stages]
        widths = geometry.widths(design.netlist.instances[i].cell for i in places)
        x = placement.x[places] + np.array(widths) * geometry.site_width / 2
        y = placement.y[places] + geometry.row_height / 2
        axes.plot(x, y, color="black", linewidth=1.2, marker="o", markersize=2.5)
        axes.annotate(
            f"{path.delay:.2f} ns",
            (x[-1], y[-1]),
            xytext=(4, 4),
            fontweight="bold",
            textcoords="offset points",
        )
