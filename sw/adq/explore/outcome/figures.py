"""Figures of an exploration: the front, the axes of its points, and where their energy goes."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adq.design_result import OBJECTIVES, DesignResult
from adq.explore.axes import AXES
from adq.explore.exploration import Exploration
from adq.explore.outcome.tables import short
from adq.explore.space import ExploreError
from adq.runs.density_figures import scale, styled

__all__ = ["draw"]

LABELLED = 12
"""Points of the front that have a label."""

STACKED = 10
"""Points of the front whose energy is drawn by block."""


@styled
def draw(exploration: Exploration) -> dict[str, Figure]:
    """Return figures by name: ``front``, ``axes`` and ``energy``.

    Raises
    ------
    ExploreError
        If no point has all objectives.
    """
    if not exploration.front:
        raise ExploreError("no point has a figure for each objective: there is nothing to draw")
    figures = {"axes": _draw_axes(exploration), "energy": _draw_energy(exploration)}
    if len(exploration.space.objectives) > 1:
        figures = {"front": _draw_front(exploration)} | figures
    return figures


def label_of(result: DesignResult, axes: Sequence[str]) -> str:
    """Return the values of a point on the axes that vary, in few letters."""
    parts = []
    if {"rows", "columns"} & set(axes):
        parts.append(f"{result.tile['rows']}x{result.tile['columns']}")
    for axis in axes:
        value = result.point[axis]
        if axis == "network":
            parts.append(short(value))
        elif axis in ("controller.policy", "controller.budget"):
            parts.append(str(value))
        elif axis not in ("rows", "columns"):
            parts.append(f"{AXES[axis].title} {value}")
    return ", ".join(parts) or result.network


def _axis_label(name: str) -> str:
    objective = OBJECTIVES[name]
    unit = f" ({objective.unit})" if objective.unit not in ("", "cycles") else ""
    return f"{objective.title}{unit}"


def _numbers(results: Sequence[DesignResult], name: str) -> list[float]:
    return [value for result in results if (value := result.objective(name)) is not None]


def _scale(axes: Axes, which: str, values: Sequence[float]) -> None:
    """Take a logarithmic scale where values are far apart."""
    if min(values) > 0 and max(values) > 8 * min(values):
        getattr(axes, f"set_{which}scale")("log")


def _draw_front(exploration: Exploration) -> Figure:
    """Draw the first objective against each of the others, a panel each, with a shared axis."""
    first, *others = exploration.space.objectives
    front = exploration.front
    whole = [r for r in exploration.results if r.objective(first) is not None]
    figure = Figure(figsize=(1.5 + 5 * len(others), 4.5), layout="constrained")
    panels = figure.subplots(1, len(others), squeeze=False, sharey=True)[0]
    dark = scale()(0.15)
    for axes, other in zip(panels, others, strict=True):
        shown = [result for result in whole if result.objective(other) is not None]
        rest = [result for result in shown if not exploration.on_front(result)]
        axes.scatter(_numbers(rest, other), _numbers(rest, first), s=14, color="0.75")
        xs, ys = _numbers(front, other), _numbers(front, first)
        axes.scatter(xs, ys, s=26, color=dark, zorder=3)
        if len(others) == 1:
            order = np.argsort(xs)
            axes.plot(np.array(xs)[order], np.array(ys)[order], color=dark, linewidth=1, zorder=2)
        _scale(axes, "x", _numbers(shown, other))
        axes.set_xlabel(_axis_label(other))
        for place, (x, y, result) in enumerate(zip(xs, ys, front, strict=True)):
            if place < LABELLED:
                axes.annotate(
                    label_of(result, exploration.space.varied),
                    (x, y),
                    xytext=(5, 4 if place % 2 else -9),
                    textcoords="offset points",
                    fontsize=7,
                )
        axes.grid(color="0.92")
    _scale(panels[0], "y", _numbers(whole, first))
    panels[0].set_ylabel(_axis_label(first))
    figure.suptitle(
        f"{exploration.space.title}: points that no other one beats", x=0.01, ha="left", fontsize=10
    )
    return figure


def _draw_axes(exploration: Exploration) -> Figure:
    """Draw each point as a line through its axes and objectives."""
    shown = [r for r in exploration.results if all(_has(r, exploration))]
    columns = [*exploration.space.varied, *exploration.space.objectives]
    figure = Figure(figsize=(1.6 + 1.5 * len(columns), 4.5), layout="constrained")
    axes = figure.add_subplot()
    heights = np.array([[_height(exploration, column, result) for column in columns] for result in
                        shown])  # fmt: skip
    for line, result in zip(heights, shown, strict=True):
        on_front = exploration.on_front(result)
        axes.plot(
            range(len(columns)),
            line,
            color=scale()(0.15) if on_front else "0.85",
            linewidth=1.3 if on_front else 0.6,
            zorder=3 if on_front else 2,
        )
    for place, column in enumerate(columns):
        axes.axvline(place, color="0.4", linewidth=0.8, zorder=1)
        for height, text in _ticks(exploration, column, shown):
            axes.annotate(
                text,
                (place, height),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                zorder=4,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
    titles = [OBJECTIVES[c].title if c in OBJECTIVES else AXES[c].title for c in columns]
    axes.set_xticks(range(len(columns)), titles, rotation=20, ha="right")
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.05)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(f"{exploration.space.title}: dark lines are the front")
    return figure


def _has(result: DesignResult, exploration: Exploration) -> list[bool]:
    return [result.objective(name) is not None for name in exploration.space.objectives]


def _height(exploration: Exploration, column: str, result: DesignResult) -> float:
    """Return where a point passes an axis, 0 to 1: evenly on axes, by value on objectives."""
    if column in OBJECTIVES:
        values = np.array(_numbers(exploration.results, column))
        value = result.objective(column)
        assert value is not None
        if values.min() > 0 and values.max() > 8 * values.min():
            values, value = np.log(values), float(np.log(value))
        span = values.max() - values.min()
        return float((value - values.min()) / span) if span else 0.5
    choices = list(exploration.space.axes[column])
    return choices.index(result.point[column]) / max(1, len(choices) - 1)


def _ticks(
    exploration: Exploration, column: str, shown: Sequence[DesignResult]
) -> list[tuple[float, str]]:
    if column not in OBJECTIVES:
        return [
            (place / max(1, len(exploration.space.axes[column]) - 1), short(value))
            for place, value in enumerate(exploration.space.axes[column])
        ]
    ends = sorted(shown, key=lambda result: result.objective(column) or 0.0)
    return [
        (_height(exploration, column, result), f"{result.objective(column):.4g}")
        for result in (ends[0], ends[-1])
    ]


def _draw_energy(exploration: Exploration) -> Figure:
    """Draw the energy of the front's points as bars on one scale, stacked by block of the tile."""
    chosen = exploration.front[:STACKED]
    names = [label_of(result, exploration.space.varied) for result in chosen]
    energies = [result.blocks_pj() | {"weight load": result.load_pj or 0.0} for result in chosen]
    blocks = sorted(
        {block for each in energies for block in each},
        key=lambda block: -sum(each.get(block, 0.0) for each in energies),
    )
    figure = Figure(figsize=(8, 1.5 + 0.42 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(chosen))[::-1]
    left = np.zeros(len(chosen))
    colours = matplotlib.colormaps["tab20"](np.arange(len(blocks)) % 20)
    for block, colour in zip(blocks, colours, strict=True):
        widths = np.array([each.get(block, 0.0) / 1000 for each in energies])
        axes.barh(
            places, widths, left=left, color=colour, edgecolor="white", linewidth=0.5, label=block
        )
        left += widths
    for place, end, result in zip(places, left, chosen, strict=True):
        axes.text(end, place, f" {(result.energy_pj or 0) / 1000:.4g}", va="center", fontsize=7)
    axes.set_yticks(places, names, fontsize=7)
    axes.set_xlabel("nJ an image: computing by block, and loading weights")
    axes.margins(x=0.1)
    axes.set_title(f"{exploration.space.title}: energy of points on the front")
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    return figure
