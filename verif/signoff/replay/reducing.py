"""Reduction of a failing test of the tile's ports to a small case that fails."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import Bench, Run, module
from adq.verif.signoff.replay.cases import Case, read_cases, write_cases
from adq.verif.signoff.replay.shrinking import shrink
from adq.verif.simulation.environment import tile_environment
from adq.verif.simulation.results import TestResult, read_results
from adq.verif.simulation.simulator import SimulationError

__all__ = ["read_small", "reduce_failure", "run_cases", "run_recorded"]

SEEDS = 8
"""Seeds of the pauses with which a case is tried from reset."""


def run_cases(run: Run, models: Models, path: Path, directory: Path, **options) -> list[TestResult]:
    """Run the cases of a file on the tile of a run. Return one result per case, in order."""
    models.get(run).run(
        module("given"),
        directory=directory.resolve(),
        environment={**tile_environment(run.tile), "ADQ_CASES": str(path.resolve())},
        seed=run.seed,
        processes=models.processes,
        **options,
    )
    results = read_results(directory / "results.xml")
    return sorted(results, key=lambda result: int(result.name.rpartition("=")[2]))


def run_recorded(run: Run, models: Models, test: str, directory: Path, **options) -> Case | None:
    """Repeat one test of a run. If it fails, return the case of the jobs since the last reset."""
    recorded = (directory / "recorded.json").resolve()
    directory.mkdir(parents=True, exist_ok=True)
    recorded.unlink(missing_ok=True)
    folder, _, name = test.partition(".")
    models.get(run).run(
        module(folder),
        directory=directory.resolve(),
        environment={**tile_environment(run.tile), "ADQ_RECORD": str(recorded)},
        seed=run.seed,
        only=rf"{re.escape(f'{module(folder)}.{name}')}$",
        processes=models.processes,
        **options,
    )
    passed = all(result.passed for result in read_results(directory / "results.xml"))
    if passed or not recorded.exists():
        return None
    return read_cases(recorded)[0][0]


def reduce_failure(
    run: Run,
    models: Models,
    test: str,
    directory: Path,
    *,
    seconds: float = 120,
    progress: Callable[[str], None] = lambda stage: None,
) -> Path | None:
    """Reduce the failure of a test, and write it as ``small.json``.

    Returns
    -------
    Path or None
        None where the test is none of the tile's ports, where it passes now, or where its last
        jobs do not fail by themselves from reset.

    Raises
    ------
    SimulationError
        If a simulation breaks off.
    """
    if run.bench is not Bench.TILE:
        return None
    deadline = time.monotonic() + seconds
    progress("running the test again")
    case = run_recorded(run, models, test, directory, timeout=seconds)
    if case is None:
        return None

    def fails(cases: Sequence[Case]) -> list[bool]:
        write_cases(directory / "cases.json", list(cases))
        left = max(10.0, deadline - time.monotonic())
        results = run_cases(run, models, directory / "cases.json", directory, timeout=left)
        if len(results) != len(cases):
            raise SimulationError(f"{len(results)} results of {len(cases)} cases in {directory}")
        return [not result.passed for result in results]

    tries = [replace(case, seed=seed) for seed in range(SEEDS)]
    failing = [one for one, bad in zip(tries, fails(tries), strict=True) if bad]
    if not failing:
        return None

    def fails_still(cases: Sequence[Case]) -> list[bool]:
        try:
            return fails(cases)
        except SimulationError:  # out of time: what was found so far is small enough
            return [False] * len(cases)

    small = shrink(failing[0], fails_still, deadline=deadline, progress=progress)
    path = directory / "small.json"
    write_cases(path, [small], run=run.id, test=test)
    return path


def read_small(name: str) -> tuple[Run, Path | None]:
    """Return the run of an identifier, or the run of a small case's file together with the file.

    Raises
    ------
    SimulationError
        If it is neither.
    """
    path = Path(name)
    if not path.is_file():
        return Run.from_id(name), None
    try:
        _, document = read_cases(path)
        return Run.from_id(document["run"]), path
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SimulationError(f"{path}: no file of a small case ({error})") from None
