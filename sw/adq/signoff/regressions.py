"""Running regressions for people: their progress, their failures and their summary."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from adq.console import Console
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.processes import Processes, StoppedError
from adq.verif.signoff.plan.testplan import ROOT, Assessment, Outcome, TestPlan
from adq.verif.signoff.regression import collecting
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.regression import Regression, run_all
from adq.verif.signoff.regression.runs import Bench, Record, Run, State
from adq.verif.signoff.replay.cases import read_cases
from adq.verif.signoff.replay.reducing import reduce_failure
from adq.verif.simulation import functional_coverage
from adq.verif.simulation.simulator import SimulationError

__all__ = [
    "Reporter",
    "failures_small",
    "models_in",
    "network_tests",
    "print_failed_testpoints",
    "seconds_of",
    "summary_of",
    "under_way",
]

SHOWN = 5
"""Failures of a run that are printed; all are in its record."""

SHRINKING = 60
"""Seconds that making a failure small may take."""


def seconds_of(budget: str) -> float:
    """Return the seconds of ``90s``, ``30m`` or ``2h``.

    Raises
    ------
    SimulationError
        If it is none of these.
    """
    found = re.fullmatch(r"(\d+)([smh])", budget)
    if not found:
        raise SimulationError(f"a budget is a number and s, m or h, such as 30m, not {budget!r}")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def failures_small(
    regression: Regression,
    models: Models,
    out: Path,
    console: Console,
    deadline: float | None = None,
) -> None:
    """Make the first failure of the tile's ports small, and print the line that replays it."""
    failing = [
        (record.run, test)
        for record in regression.records
        for test in record.tests
        if not test.passed and record.run.bench is Bench.TILE
    ]
    left = SHRINKING if deadline is None else min(SHRINKING, deadline - time.monotonic())
    if not failing or left < 5:
        return
    # The test with the fewest jobs is the soonest small; tests are in no order of size.
    run, test = min(failing, key=lambda pair: pair[1].seconds)
    directory = out / "small" / run.id
    try:
        with console.status(f"making {test.name} small") as status:
            path = reduce_failure(
                run, models, test.name, directory, seconds=left, progress=status.update
            )
    except (SimulationError, StoppedError) as error:
        console.print(f"{test.name} was not made small: {error}", style="yellow", markup=False)
        return
    if path is None:
        console.print(f"{test.name} does not fail from reset alone: it was not made small")
        return
    [case], _ = read_cases(path)
    line = f"{test.name} fails with {case.describe()}: make replay RUN={path}"
    console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def models_in(cache: Path, **options) -> Iterator[Models]:
    """Yield the models, whose simulators and compilers end with the command."""
    models = Models(cache, Processes(), **options)
    try:
        yield models
    finally:
        models.processes.stop()


class Reporter:
    """Shows tasks under way, and each failure as it comes, with the line that replays it."""

    def __init__(self, console: Console, plan: TestPlan, tasks: int):
        self.console = console
        self.plan = plan
        columns = (
            *(TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
            TextColumn("{task.fields[stages]}"),
        )
        self.bar = Progress(*columns, console=console, transient=True)
        self.task = self.bar.add_task("", total=tasks, stages="")
        self.stages: dict[str, str] = {}

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def progress(self, name: str, stage: str) -> None:
        """A task has come to a stage."""
        self.stages[name] = stage
        self._show()

    def finished(self, name: str, result: object) -> None:
        """A task has given its result."""
        self.stages.pop(name, None)
        self.bar.advance(self.task)
        self._show()
        if not isinstance(result, Record):
            return
        if result.state is State.BROKEN:
            self._say(f"BROKEN {result.run.id}: {result.reason}")
        failing = [
            (test, written)
            for test, written in zip(result.tests, result.tests_json(), strict=True)
            if not test.passed
        ]
        for test, written in failing[:SHOWN]:
            points = ", ".join(self.plan.points_of(test.test)) or "no testpoint"
            self._say(f"FAIL {written['name']} [{points}]: {test.message}")
            self._say(f"     {written['replay']}")
        if len(failing) > SHOWN:
            self._say(f"     and {len(failing) - SHOWN} more of {result.run.id}")

    def _show(self) -> None:
        self.bar.update(self.task, stages="; ".join(self.stages.values()))

    def _say(self, line: str) -> None:
        self.console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def run_or_collect(
    runs: Sequence[Run],
    models: Models,
    out: Path,
    *,
    collect: Sequence[Path],
    cluster: str | None,
    workers: int | None,
    plan: TestPlan,
    console: Console,
    **options: Any,
) -> tuple[Regression, dict[str, str]]:
    """Run runs on this machine or a cluster, or collect the runs of shards.

    Parameters
    ----------
    collect
        Folders of shards; without any, the runs are run.
    cluster, workers
        As :func:`adq.verif.parallel.pool_choice.pool_of` takes them.
    options
        Further arguments of :func:`adq.verif.signoff.regression.regression.run_all`.

    Returns
    -------
    result : Regression
    missing : dict of str to str
        Ids of runs that no shard has, with the reason.

    """
    if collect:
        return collecting.collect(runs, models, collect, out)
    count = len(runs) + len(options.get("others", ()))
    with (
        pool_of(cluster, workers=workers, processes=models.processes) as pool,
        Reporter(console, plan, count) as reporter,
    ):
        result = run_all(
            runs,
            models,
            out,
            pool=pool,
            progress=reporter.progress,
            finished=reporter.finished,
            **options,
        )
    return result, {}


def network_tests(simulated: list[dict], plan: TestPlan) -> list[dict]:
    """Return simulated networks as tests, for programs: one that differs from its integers has
    failed, and so has a shipped one that does not reach what the plan asks of it.
    """
    tests = []
    for run in simulated:
        artifact = Path(run["artifact"])
        missing = [
            pattern
            for network in plan.networks
            if artifact.resolve() == (ROOT / network.artifact).resolve()
            for pattern in network.missing(run["bins"])
        ]
        message = run["failure"]
        if not run["agrees"]:
            problems = "; ".join(run.get("problems", []))
            message = message or problems or "accumulators, classes or cycles differ"
        elif missing:
            message = f"reaches no bin {', '.join(missing)}"
        tests.append(
            {
                "test": "network.every_layer",
                "name": f"{artifact} network.every_layer",
                "run": str(artifact),
                "seed": 1,
                "seconds": run["seconds"],
                "outcome": "failed" if message else "passed",
                "message": message,
                "replay": f"adq sim {artifact}",
            }
        )
    return tests


def print_failed_testpoints(assessments: list[Assessment], console: Console) -> None:
    """Print a line for each testpoint that was not shown."""
    for assessment in assessments:
        if not assessment.evidence or assessment.outcome is Outcome.PASSED:
            continue
        missing = [n for n, outcome in assessment.evidence.items() if outcome != Outcome.PASSED]
        console.print(
            f"testpoint {assessment.testpoint.name} {assessment.outcome}: {', '.join(missing)}",
            style="red" if assessment.outcome is Outcome.FAILED else "yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def under_way() -> dict:
    """Return what stands in place of a regression's results until it has ended."""
    lists = ("runs", "not_run", "tests", "testpoints", "functional")
    return {"state": "under way, or cut off", "passed": 0, "failed": 0, "seed": None} | {
        name: [] for name in lists
    }


def summary_of(
    regression: Regression, assessments: list[Assessment], networks: list[dict], tests: list[dict]
) -> dict:
    """Return what every regression leaves for programs; shapes stand in docs/verification.md."""
    bins = regression.bins()
    for run in networks:
        bins.update(run["bins"])
    runs = [
        {
            "id": record.run.id,
            "state": record.state.value,
            "reason": record.reason,
            "seconds": round(record.seconds, 1),
            "seed": record.run.seed,
            "tile": record.run.model.partition("-")[2],
            "directory": str(record.directory),
            "replay": record.run.replay(),
        }
        for record in regression.records
    ]
    return {
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "runs": runs,
        "not_run": [run.id for run in regression.not_run],
        "tests": tests,
        "passed": sum(test["outcome"] == "passed" for test in tests),
        "failed": sum(test["outcome"] == "failed" for test in tests)
        + sum(record.state is State.BROKEN for record in regression.records),
        "testpoints": [assessment.to_json() for assessment in assessments if assessment.evidence],
        "functional": functional_coverage.report(bins),
    }
