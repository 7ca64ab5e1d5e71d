"""Execution of a run on its compiled model, here or by a worker elsewhere."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

from adq.golden.files.directory import scratch_directory
from adq.verif.parallel.folders import read_folder, write_folder
from adq.verif.parallel.pools import Away
from adq.verif.processes import Processes
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import (
    TIMEOUT,
    Record,
    Run,
    State,
    module,
    read_record,
)
from adq.verif.simulation.environment import tile_environment
from adq.verif.simulation.results import read_results
from adq.verif.simulation.simulator import SimulationError

__all__ = ["away", "execute"]


def execute(
    run: Run,
    models: Models,
    directory: Path,
    *,
    again: bool = False,
    timeout: float = TIMEOUT,
    progress: Callable[[str], None] = lambda stage: None,
) -> Record:
    """Run a run in a directory, unless it finished there with the same design and tests.

    However it ends, ``run.json`` in the directory says so; where it was cut off, that it is
    running.

    Raises
    ------
    adq.verif.processes.StoppedError
        If it was told to stop.
    OSError
        If ``run.json`` cannot be written.
    """
    started = time.monotonic()
    directory = directory.resolve()
    record = Record(run, directory, "")
    try:
        progress(f"{run.id}: building")
        model = models.get(run)
    except SimulationError as error:
        record = Record(run, directory, "", State.BROKEN, str(error), time.monotonic() - started)
        record.write()
        return record
    fingerprint = models.fingerprint(model)
    before = None if again else read_record(run, directory, fingerprint)
    if before is not None:
        return before
    Record(run, directory, fingerprint).write()
    for name in ("functional.json", "coverage.dat", "results.xml"):
        (directory / name).unlink(missing_ok=True)
    progress(f"{run.id}: testing")
    started = time.monotonic()
    state, reason, tests = State.PASSED, "", ()
    try:
        model.run(
            ",".join(map(module, run.folders)),
            directory=directory,
            environment=tile_environment(run.tile),
            seed=run.seed,
            only=run.only,
            timeout=timeout,
            processes=models.processes,
        )
        tests = tuple(read_results(directory / "results.xml"))
        state = State.PASSED if all(test.passed for test in tests) else State.FAILED
    except SimulationError as error:
        state, reason = State.BROKEN, str(error)
    seconds = time.monotonic() - started
    record = Record(run, directory, fingerprint, state, reason, seconds, tests)
    record.write()
    return record


def away(run: Run, models: Models, directory: Path) -> Away:
    """Return the execution of a run by a worker elsewhere, whose files then are written to
    ``directory``.
    """
    directory = directory.resolve()
    return Away(
        _execute_away,
        (run, models.cache.resolve(), models.coverage, directory),
        functools.partial(_receive, directory),
    )


_models: dict[tuple[Path, bool], Models] = {}
"""Models of this process, where it is a worker."""


def _execute_away(
    programs: Processes, run: Run, cache: Path, coverage: bool, directory: Path
) -> tuple[Record, dict[str, bytes]]:
    models = _models.get((cache, coverage))
    if models is None or models.processes is not programs:
        models = _models[cache, coverage] = Models(cache, programs, coverage=coverage)
    with scratch_directory(cache, run.id) as scratch:
        record = execute(run, models, scratch / "run")
        reason = record.reason.replace(str(record.directory), str(directory))
        return dataclasses.replace(record, directory=directory, reason=reason), read_folder(
            record.directory
        )


def _receive(directory: Path, given: tuple[Record, dict[str, bytes]]) -> Record:
    record, files = given
    write_folder(directory, files)
    record.write()
    return record
