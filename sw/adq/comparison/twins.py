"""Runs that come to the same: they take the same decisions, so that one training does for both.

A run of a comparison differs from others of its seed in policy and budget alone. Once its last
decision is taken, neither matters any more. A finished run that was the same up to there, and went
on with the same bits and channels, is what this run would become, bit for bit.
"""

import dataclasses
from collections.abc import Sequence

from adq.comparison.cells import Cell
from adq.runs.checkpoint import Checkpoint
from adq.runs.history import Epoch
from adq.runs.run import Run
from adq.training.network_training import NetworkTraining
from adq.training.observer import Observer

__all__ = ["SameAsError", "TwinFinder", "become"]


class SameAsError(Exception):
    """Ends a training that a finished run has done already."""

    def __init__(self, run: Run):
        super().__init__(run.path)
        self.run = run


class TwinFinder(Observer):
    """Ends a training with ``SameAsError`` where a finished run has its future.

    Parameters
    ----------
    observer
        Observer that all events go to.
    run
        Run in training.
    others
        Runs of the same seed that may be the same, finished or not.

    """

    def __init__(self, observer: Observer, run: Run, others: Sequence[Run]):
        self._observer = observer
        self._run = run
        self._others = others

    def begin(self, network: NetworkTraining) -> None:
        self._observer.begin(network)

    def epoch(self, epoch: Epoch) -> None:
        self._observer.epoch(epoch)

    def step(self, network: NetworkTraining) -> None:
        self._observer.step(network)
        if network.step == 1 and network.controller.is_last:
            for other in self._others:
                if other.finished and self._is_twin(other, network):
                    raise SameAsError(other)

    def _is_twin(self, other: Run, network: NetworkTraining) -> bool:
        done = network.epoch
        past, theirs = self._run.read_history_lines(), other.read_history_lines()
        if not done or past[-1] != theirs[done - 1]:  # with the checksum of all lines up to it
            return False
        now = {
            "iteration": network.controller.iteration,
            "bits": dict(network.prepared.bits),
            "channels": dict(network.prepared.channels),
        }
        return all({key: epoch[key] for key in now} == now for epoch in theirs[done:])


def become(run: Run, other: Run, cell: Cell) -> None:
    """Give a run the results of a finished one that is the same but for policy and budget."""
    recipe = dataclasses.asdict(cell.recipe)
    checkpoint = Checkpoint.load(other.mixed)
    dataclasses.replace(checkpoint, recipe=recipe, path=None).save(run.mixed)
    run.write_history(other.read_history())
    run.write_metrics({**other.read_metrics(), "recipe": recipe})
