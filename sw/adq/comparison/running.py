"""Trains the runs of a comparison.

Up to the end of the first iteration, runs that differ in policy and budget alone are the same
training: it is done once a seed, and the others go on from its checkpoint. Where two of them have
taken the same decisions, the rest is the same, too (``twins``).

Several processes may work on one comparison: each takes the next run that no other has locked.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from adq.comparison.cells import Cell
from adq.comparison.twins import SameAsError, TwinFinder, become
from adq.golden.files.locks import LockError, locked
from adq.runs.checkpoint import Checkpoint
from adq.runs.run import Run
from adq.training.observer import Observer
from adq.training.session import train

__all__ = ["train_cells"]

WAIT = 5.0
"""Seconds between looks for a run that has become free."""


def train_cells(
    cells: Sequence[Cell],
    folder: Path,
    *,
    begin: Callable[[Cell], Observer],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Train every run of a comparison that is not finished, here or in another process.

    Parameters
    ----------
    cells
        Runs, those of one seed in order.
    folder
        Folder of the comparison.
    begin
        Called with each cell that is trained here; it returns the observer of its training.
    wait
        Waits for some seconds while all unfinished runs are another process's.

    Raises
    ------
    adq.runs.run.RunError
        If the folder holds runs of another recipe.
    adq.training.policies.policy.PolicyError
        If a budget cannot be met.

    """
    left = list(cells)
    while left := [cell for cell in left if not Run(folder / cell.name).finished]:
        trained = [cell for cell in left if _train(cell, cells, folder, begin)]
        if not trained:
            wait(WAIT)
    for cell in cells:
        Run.resume(folder / cell.name, cell.recipe)  # refuses runs of another recipe


def _train(
    cell: Cell, cells: Sequence[Cell], folder: Path, begin: Callable[[Cell], Observer]
) -> bool:
    """Train a run unless it waits for another process; return whether it was trained."""
    path = folder / cell.name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(path):
            if Run(path).finished:
                return False
            trunk = _trunk(cell, cells)
            if trunk is not cell and not Run(path).started:
                source = Run(folder / trunk.name)
                if not source.finished and not source.iteration(1).exists():
                    return False  # its first iteration is trained by another process
                if source.iteration(1).exists():
                    _go_on_from(source.iteration(1), path, cell)
            run = Run.resume(path, cell.recipe)
            others = [Run(folder / each.name) for each in cells if _trunk(each, cells) is trunk]
            try:
                train(cell.recipe, run, TwinFinder(begin(cell), run, others))
            except SameAsError as same:
                become(run, same.run, cell)
    except LockError:
        return False
    return True


def _trunk(cell: Cell, cells: Sequence[Cell]) -> Cell:
    """Return the run whose first iteration a run shares: the first such."""
    shared = cell.first_iteration
    return next(each for each in cells if each.first_iteration == shared)


def _go_on_from(checkpoint: Path, path: Path, cell: Cell) -> None:
    """Begin a run with the end of another one's first iteration."""
    source = Checkpoint.load(checkpoint)
    run = Run.create(path, cell.recipe)
    recipe = dataclasses.asdict(cell.recipe)
    dataclasses.replace(source, recipe=recipe, path=None).save(run.mixed)
