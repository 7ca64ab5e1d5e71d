"""Figure of a comparison: accuracy against energy, a mark a run and a line a policy."""

import numpy as np
from matplotlib.figure import Figure

from adq.comparison.outcome import Group, Outcome
from adq.comparison.rows import Row
from adq.runs.density_figures import FigureError, scale, styled

__all__ = ["draw_comparison"]

_MARKERS = "osD^vP*"


@styled
def draw_comparison(outcome: Outcome) -> Figure:
    """Draw accuracy against energy, or against bits a MAC where no energy is known.

    Raises
    ------
    FigureError
        If there are no rows.

    """
    if not outcome.rows:
        raise FigureError(f"{outcome.name}: the comparison has no finished run")
    has_energy = all(row.energy_nj is not None for row in outcome.rows)

    def cost(each: Row | Group) -> float:
        return (each.energy_nj if has_energy else None) or each.average_bits

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    policies = list(dict.fromkeys(row.policy for row in outcome.rows))
    colours = scale()(np.linspace(0, 1, len(policies)))
    for place, (policy, colour) in enumerate(zip(policies, colours, strict=True)):
        marker = _MARKERS[place % len(_MARKERS)]
        rows = [row for row in outcome.rows if row.policy == policy]
        axes.plot(
            [cost(row) for row in rows],
            [100 * row.accuracy for row in rows],
            marker,
            color=colour,
            alpha=0.4,
            markersize=4,
        )
        groups = sorted((each for each in outcome.groups() if each.policy == policy), key=cost)
        axes.errorbar(
            [cost(each) for each in groups],
            [100 * each.accuracy for each in groups],
            yerr=[100 * (each.deviation or 0.0) for each in groups],
            marker=marker,
            color=colour,
            capsize=3,
            label=policy,
        )
    if has_energy:
        axes.set_xscale("log")
    axes.grid(color="0.9")
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    axes.set(
        title=f"{outcome.name}: policies at equal cost, mean and deviation over seeds",
        xlabel="energy of computing an image, nJ" if has_energy else "bits a MAC",
        ylabel="test accuracy, %",
    )
    return figure
