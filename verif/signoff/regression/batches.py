"""Batches: many small experiments in each simulation, several simulations at a time."""

import functools
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adq.golden.files.directory import scratch_directory
from adq.verif.parallel.pools import Away, Pool, Task
from adq.verif.processes import Processes
from adq.verif.simulation.simulator import Build, build

__all__ = ["BatchModel", "run_batches"]


@dataclass(frozen=True, kw_only=True)
class BatchModel:
    """Design that is simulated, and the folder of compiled models."""

    cache: Path
    top: str
    ports: tuple[str, ...]
    verilog: str

    def build(self, processes: Processes | None = None) -> Build:
        """Build the model, or find it in the cache.

        Raises
        ------
        adq.verif.simulation.simulator.SimulationError
            If it cannot be built.
        """
        return build(
            self.cache,
            top=self.top,
            ports=self.ports,
            sources={f"{self.top}.v": self.verilog},
            processes=processes,
        )


def run_batches(
    model: BatchModel,
    module: str,
    batches: Sequence[Any],
    *,
    environment: Mapping[str, str],
    directory: Path,
    seed: int,
    pool: Pool,
) -> Iterator[dict]:
    """Run a cocotb module once for each batch, and yield its outcomes as they are written.

    The module reads its batch as JSON from the file that ``ADQ_BATCH`` names, appends objects to
    ``outcomes.jsonl``, a line each, and ends early once there is a file ``stop``. What a worker
    elsewhere finds comes when its batch has ended.

    Parameters
    ----------
    environment
        Environment variables of the module, such as ``ADQ_TILE``.
    directory
        Each simulation gets a folder in it, which stays until the next call if it broke off.

    Raises
    ------
    adq.verif.simulation.simulator.SimulationError
        If a simulation breaks off.
    """
    for left in directory.glob("batch-*"):
        shutil.rmtree(left, ignore_errors=True)
    folders = [Path(tempfile.mkdtemp(prefix="batch-", dir=directory)) for _ in batches]
    seen = dict.fromkeys(folders, 0)
    built = model.build()
    elsewhere = replace(model, cache=model.cache.resolve())

    def task(batch: Any, folder: Path) -> Task:
        work = (module, batch, environment, seed)
        return Task(
            folder.name,
            call=functools.partial(_simulate, built, folder, *work),
            away=Away(_simulate_away, (elsewhere, *work), functools.partial(_receive, folder)),
        )

    def fresh() -> Iterator[dict]:
        for folder in folders:
            lines = _complete_lines(folder / "outcomes.jsonl")
            yield from lines[seen[folder] :]
            seen[folder] = len(lines)

    tasks = [task(batch, folder) for batch, folder in zip(batches, folders, strict=True)]
    pending = {pool.begin(each): each for each in tasks}
    try:
        while pending:
            for future in [future for future in pending if future.done()]:
                pool.finish(pending.pop(future), future)
            yield from fresh()
            if pending:
                time.sleep(0.2)
    except BaseException:
        for folder in folders:
            (folder / "stop").touch()
        for future in pending:
            future.cancel()
        raise
    for folder in folders:
        shutil.rmtree(folder)


def _simulate(
    model: Build,
    folder: Path,
    module: str,
    batch: Any,
    environment: Mapping[str, str],
    seed: int,
) -> None:
    file = folder / "batch.json"
    file.write_text(json.dumps(batch), encoding="utf-8")
    given = {"ADQ_BATCH": str(file.resolve()), "COCOTB_LOG_LEVEL": "CRITICAL"}
    model.run(module, directory=folder.resolve(), environment={**environment, **given}, seed=seed)


def _simulate_away(
    programs: Processes,
    model: BatchModel,
    module: str,
    batch: Any,
    environment: Mapping[str, str],
    seed: int,
) -> bytes:
    """Run a batch in a worker, and return its outcomes."""
    built = model.build(programs)
    with scratch_directory(model.cache, "batch") as folder:
        _simulate(built, folder, module, batch, environment, seed)
        outcomes = folder / "outcomes.jsonl"
        return outcomes.read_bytes() if outcomes.exists() else b""


def _receive(folder: Path, outcomes: bytes) -> None:
    (folder / "outcomes.jsonl").write_bytes(outcomes)


def _complete_lines(path: Path) -> list[dict]:
    """Parse the complete lines of a JSON Lines file that another process is appending to."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
