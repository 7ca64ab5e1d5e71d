"""Explorations as tables for people."""

from collections.abc import Sequence

from rich.table import Table

from adq.design_result import OBJECTIVES, DesignResult
from adq.explore.axes import AXES
from adq.explore.confirmation import Confirmation
from adq.explore.exploration import Exploration

__all__ = ["best", "confirmation_table", "figure_of", "rows_of", "short", "top_table"]

SHOWN_OBJECTIVES = ("energy_pj", "cycles", "area_um2", "clock_mhz", "accuracy")
"""Figures that a table always shows where a result has them, beside its objectives."""


def short(value: object) -> str:
    """Return a value of an axis for people: of a path, its last two names."""
    return "/".join(str(value).removesuffix(".json").split("/")[-2:])


def figure_of(result: DesignResult, name: str) -> str:
    """Return a figure with four digits, or "-" where there is none."""
    value = result.objective(name)
    if value is None:
        return "-"
    if name == "accuracy":
        deviation = result.accuracy_deviation
        return f"{value:.2%}" + (f" ± {100 * deviation:.2f}" if deviation is not None else "")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def best(exploration: Exploration, count: int) -> list[tuple[DesignResult, bool]]:
    """Return results, and whether each is on the front: the front first, then by objective."""
    others = [result for result in exploration.results if not exploration.on_front(result)]
    first = exploration.space.objectives[0]

    def order(result: DesignResult) -> tuple[bool, float]:
        value = result.objective(first)
        if value is None:
            return True, 0.0
        return False, -value if OBJECTIVES[first].largest else value

    chosen = [(result, True) for result in exploration.front]
    chosen += [(result, False) for result in sorted(others, key=order)]
    return chosen[:count]


def rows_of(exploration: Exploration, count: int) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the table of the best points."""
    axes = shown_axes(exploration)
    names = list(exploration.space.objectives)
    names += [
        name
        for name in SHOWN_OBJECTIVES
        if name not in names and any(r.objective(name) is not None for r in exploration.results)
    ]
    headings = [
        "",
        *(AXES[axis].key for axis in axes),
        *(f"{OBJECTIVES[n].title}{f', {OBJECTIVES[n].unit}' * bool(_unit(n))}" for n in names),
    ]
    rows = [
        [
            "front" if on_front else "",
            *(short(result.point[axis]) for axis in axes),
            *(figure_of(result, name) for name in names),
        ]
        for result, on_front in best(exploration, count)
    ]
    return headings, rows


def shown_axes(exploration: Exploration) -> list[str]:
    """Return the axes that tell points apart; where none varies, that of the network."""
    space = exploration.space
    return space.varied or ["recipe" if "recipe" in space.axes else "network"]


def _unit(name: str) -> str:
    unit = OBJECTIVES[name].unit
    return "" if unit == "cycles" else unit


def top_table(exploration: Exploration, count: int) -> Table:
    """Return the best points as a table."""
    headings, rows = rows_of(exploration, count)
    title = f"{exploration.space.title}: {len(exploration.front)} points on the front of "
    table = Table(title=title + f"{len(exploration.results)}", title_justify="left")
    axes = len(shown_axes(exploration))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place <= axes else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def confirmation_table(confirmations: Sequence[Confirmation]) -> Table:
    """Return predicted and counted figures of simulated points."""
    table = Table(title="Points of the front, simulated", title_justify="left")
    for heading in ("network", "tile"):
        table.add_column(heading, overflow="fold")
    for heading in ("images", "predicted pJ", "counted pJ", "difference", "cycles", "as planned"):
        table.add_column(heading, justify="right")
    for each in confirmations:
        tile = each.counted.tile
        table.add_row(
            short(each.counted.network),
            f"{tile['rows']}x{tile['columns']}",
            str(each.counted.images),
            figure_of(each.predicted, "energy_pj"),
            figure_of(each.counted, "energy_pj"),
            "-" if each.difference is None else f"{each.difference:+.1%}",
            figure_of(each.counted, "cycles"),
            "no" if each.problems else "yes",
            style="red" if each.problems else None,
        )
    return table
