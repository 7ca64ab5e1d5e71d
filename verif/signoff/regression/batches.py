"""Batches: many small experiments in each simulation, several simulations at a time."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adq.rtl.parameters import TileParameters
from adq.verif.simulation.simulator import Build

__all__ = ["run_batches"]


def run_batches(
    model: Build,
    module: str,
    batches: Sequence[Any],
    *,
    tile: TileParameters,
    directory: Path,
    seed: int,
    processes: int,
) -> Iterator[dict]:
    """Run a cocotb module once for each batch, and yield its outcomes as they are written.

    The module reads its batch as JSON from the file that ``ADQ_BATCH`` names, appends objects to
    ``outcomes.jsonl``, a line each, and ends early once there is a file ``stop``.

    Parameters
    ----------
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

    def simulate(batch: Any, folder: Path) -> None:
        file = folder / "batch.json"
        file.write_text(json.dumps(batch), encoding="utf-8")
        environment = {
            "ADQ_TILE": json.dumps(asdict(tile)),
            "ADQ_BATCH": str(file.resolve()),
            "COCOTB_LOG_LEVEL": "CRITICAL",
        }
        model.run(module, directory=folder.resolve(), environment=environment, seed=seed)

    def fresh() -> Iterator[dict]:
        for folder in folders:
            lines = _complete_lines(folder / "outcomes.jsonl")
            yield from lines[seen[folder] :]
            seen[folder] = len(lines)

    with ThreadPoolExecutor(processes) as pool:
        try:
            futures = [pool.submit(simulate, *work) for work in zip(batches, folders, strict=True)]
            while not all(future.done() for future in futures):
                time.sleep(0.2)
                yield from fresh()
            for future in futures:
                future.result()
            yield from fresh()
        except BaseException:
            for folder in folders:
                (folder / "stop").touch()
            pool.shutdown(cancel_futures=True)
            raise
    for folder in folders:
        shutil.rmtree(folder)


def _complete_lines(path: Path) -> list[dict]:
    """Parse the complete lines of a JSON Lines file that another process is appending to."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
