"""Regressions: runs in parallel, and their results."""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adq.verif.parallel.pools import Pool, Task
from adq.verif.signoff.plan.testplan import Assessment, Outcome, TestPlan, assess
from adq.verif.signoff.regression.execution import away, execute
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import BLOCKS, PORTS, Record, Run, read_record
from adq.verif.tasks import side_by_side

__all__ = ["BLOCKS", "PORTS", "Regression", "run_all"]


@dataclass
class Regression:
    """Results of runs."""

    records: list[Record] = field(default_factory=list)
    """In the order of the runs."""
    not_run: list[Run] = field(default_factory=list)
    others: dict[str, object] = field(default_factory=dict)
    """Results of other tasks, by name."""

    def tests(self) -> list[dict]:
        """Return all tests as plain values for JSON."""
        return [test for record in self.records for test in record.tests_json()]

    def bins(self) -> Counter[str]:
        """Return the hits of the functional coverage bins, summed over all runs."""
        hits: Counter[str] = Counter()
        for record in self.records:
            hits.update(record.bins())
        return hits

    def assess(self, plan: TestPlan, more: Sequence[dict] = ()) -> list[Assessment]:
        """Assess testpoints by the cocotb tests that were to be run, and by ``more`` tests.

        Those of a folder that no run has are left out: they belong to another command.
        """
        outcomes: dict[str, Outcome] = {}
        for test in (*self.tests(), *more):
            if outcomes.get(test["test"]) is not Outcome.FAILED:
                outcomes[test["test"]] = Outcome(test["outcome"])
        folders = {test["test"].partition(".")[0] for test in more}
        for run in (*(record.run for record in self.records), *self.not_run):
            folders.update(run.folders)
        return [
            Assessment(
                assessment.testpoint,
                {
                    name: outcome
                    for name, outcome in assessment.evidence.items()
                    if name.partition(".")[0] in folders
                },
            )
            for assessment in assess(plan, tests=outcomes)
        ]


Progress = Callable[[str], None]


def run_all(
    runs: Sequence[Run],
    models: Models,
    out: Path,
    *,
    others: Mapping[str, Callable[[Progress], object]] | None = None,
    pool: Pool,
    again: bool = True,
    ends: Callable[[object], bool] = lambda result: False,
    deadline: float | None = None,
    progress: Callable[[str, str], None] = lambda name, stage: None,
    finished: Callable[[str, object], None] = lambda name, result: None,
) -> Regression:
    """Run runs in parallel, started in the given order, each in its own directory.

    Parameters
    ----------
    others
        Other tasks by name, begun behind the first two runs: each is given a function that takes
        its progress.
    pool
        Workers of the runs. Where these are elsewhere, ``others`` still run in this process.
    again
        Also run what has finished with the same design and tests.
    ends
        Whether nothing is to be begun behind a result: a ``Record``, or what
        another task gave.
    deadline
        By ``time.monotonic``; see :func:`side_by_side`.
    progress, finished
        Called with the name of a task and its stage, or what it gave.

    Raises
    ------
    SimulationError
        From another task.
    OSError
        If a record cannot be written.
    """

    def stages_of(name: str) -> Progress:
        return lambda stage: progress(name, stage)

    def task_of(run: Run) -> Task:
        directory = out / run.id

        def call() -> Record:
            return execute(run, models, directory, again=again, progress=stages_of(run.id))

        return Task(run.id, call, run.model, away(run, models, directory))

    results: dict[str, object] = {}
    if not again and pool.elsewhere:  # what has finished is known here
        for run in runs:
            before = read_record(run, out / run.id, models.fingerprint_of(run))
            if before is not None:
                results[run.id] = before
                finished(run.id, before)
    tasks = [task_of(run) for run in runs if run.id not in results]
    tasks[2:2] = [
        Task(name, functools.partial(call, stages_of(name)))
        for name, call in (others or {}).items()
    ]
    for name, result in side_by_side(tasks, pool, deadline=deadline, ends=ends):
        results[name] = result
        finished(name, result)
    return Regression(
        records=[results[run.id] for run in runs if run.id in results],
        not_run=[run for run in runs if run.id not in results],
        others={name: results[name] for name in others or {} if name in results},
    )
