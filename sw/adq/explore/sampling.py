"""Which points of a space are evaluated: all of them, or those that a sampler of Optuna chooses."""

from collections.abc import Callable, Sequence
from typing import Any

from adq.design_result import OBJECTIVES, DesignResult
from adq.explore.evaluation import Skipped
from adq.explore.outcome.front import missing
from adq.explore.space import Point, Space

__all__ = ["Evaluate", "search"]

Evaluate = Callable[[Sequence[Point]], dict[Point, DesignResult | Skipped]]

BATCH = 8
"""Points that a sampler chooses before it learns of any of them. It does not depend on the number
of workers, so that the same seed chooses the same points on any machine."""


def search(space: Space, evaluate: Evaluate) -> dict[Point, DesignResult | Skipped]:
    """Evaluate the points of a space that its search chooses, each once."""
    if space.search.sampler == "grid":
        return evaluate(list(space.grid()))
    return _sample(space, evaluate)


def _sample(space: Space, evaluate: Evaluate) -> dict[Point, DesignResult | Skipped]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = space.search.seed
    samplers: dict[str, Callable[[], Any]] = {
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
    }
    study = optuna.create_study(
        directions=[
            "maximize" if OBJECTIVES[name].largest else "minimize" for name in space.objectives
        ],
        sampler=samplers[space.search.sampler](),
    )
    found: dict[Point, DesignResult | Skipped] = {}
    for start in range(0, space.search.points, BATCH):
        trials = [study.ask() for _ in range(min(BATCH, space.search.points - start))]
        points = []
        for trial in trials:
            # Optuna keeps only numbers and texts as values, so it chooses places in the list.
            chosen = {
                name: values[trial.suggest_categorical(name, list(range(len(values))))]
                for name, values in space.axes.items()
            }
            points.append(Point.of(chosen))
        new = [point for point in dict.fromkeys(points) if point not in found]
        found |= evaluate(new)
        for trial, point in zip(trials, points, strict=True):
            result = found[point]
            if isinstance(result, Skipped) or missing(result, space.objectives):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                figures = (result.objective(name) for name in space.objectives)
                study.tell(trial, [figure for figure in figures if figure is not None])
    return found
