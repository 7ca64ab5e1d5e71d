"""The Pareto front: points that no other point beats."""

from collections.abc import Sequence

from adq.design_result import OBJECTIVES, DesignResult

__all__ = ["front", "missing"]


def missing(result: DesignResult, objectives: Sequence[str]) -> list[str]:
    """Return the objectives that a result has no figure for."""
    return [name for name in objectives if result.objective(name) is None]


def front(results: Sequence[DesignResult], objectives: Sequence[str]) -> list[DesignResult]:
    """Return the results that no other one beats, by the first objective, best first.

    One beats another if it is better in an objective and worse in none. Results without a figure
    for an objective are left out. Of results with equal figures all are kept.
    """
    whole = [result for result in results if not missing(result, objectives)]
    costs = [
        tuple(
            -value if OBJECTIVES[name].largest else value
            for name in objectives
            if (value := result.objective(name)) is not None
        )
        for result in whole
    ]
    kept: list[int] = []
    # Whatever beats a point comes before it in this order.
    for place in sorted(range(len(whole)), key=lambda each: costs[each]):
        if not any(_beats(costs[other], costs[place]) for other in kept):
            kept.append(place)
    return [whole[place] for place in kept]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
