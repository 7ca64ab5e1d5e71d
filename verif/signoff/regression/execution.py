"""Execution of a run on its compiled model."""

import time
from collections.abc import Callable
from pathlib import Path

from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.runs import (
    TIMEOUT,
    Record,
    Run,
    State,
    environment_of,
    module,
    read_record,
)
from adq.verif.simulation.results import read_results
from adq.verif.simulation.simulator import SimulationError

__all__ = ["execute"]


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
            environment=environment_of(run),
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
