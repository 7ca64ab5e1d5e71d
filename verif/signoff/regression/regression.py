"""Regressions: runs side by side, and what became of them."""

import contextlib
import fcntl
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adq.verif.parallel.pools import Pool, Task
from adq.verif.signoff.plan.testplan import Assessment, Outcome, TestPlan, assess
from adq.verif.signoff.regression.execution import away, execute
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import BLOCKS, PORTS, Record, Run, read_record
from adq.verif.simulation.simulator import SimulationError
from adq.verif.tasks import side_by_side

__all__ = ["BLOCKS", "PORTS", "Regression", "occupied", "run_all"]


@contextlib.contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Hold a directory of results, so that no other regression writes into it.

    Raises
    ------
    SimulationError
        If another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise SimulationError(
                f"{directory} is in use by process {holder}: wait for it, or give another with "
                "--out"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@dataclass
class Regression:
    """What became of runs."""

    records: list[Record] = field(default_factory=list)
    """In the order of the runs."""
    not_run: list[Run] = field(default_factory=list)
    others: dict[str, object] = field(default_factory=dict)
    """What other tasks gave, by name."""

    def tests(self) -> list[dict]:
        """All tests, for programs."""
        return [test for record in self.records for test in record.tests_json()]

    def bins(self) -> Counter[str]:
        """Hits of the bins of functional coverage, of all runs."""
        hits: Counter[str] = Counter()
        for record in self.records:
            hits.update(record.bins())
        return hits

    def assess(self, plan: TestPlan, more: Sequence[dict] = ()) -> list[Assessment]:
        """Testpoints by the cocotb tests that were to be run, and ``more`` of them.

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
    """Run runs side by side, in the order given, each in a directory of its own.

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
