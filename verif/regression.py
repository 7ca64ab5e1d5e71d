"""Regressions: which runs there are, and running them side by side."""

import contextlib
import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from rtl.parameters import TileParameters
from verif.processes import StoppedError
from verif.runs import BLOCKS, PORTS, Bench, Models, Record, Run, State, execute
from verif.simulator import SimulationError
from verif.testplan import Assessment, Outcome, TestPlan, assess

__all__ = [
    "BLOCKS",
    "BLOCK_TILES",
    "COVERED_TILES",
    "MORE_BLOCK_TILES",
    "MORE_PORT_TILES",
    "PORTS",
    "SMALL_TILE",
    "Regression",
    "covered_runs",
    "long_runs",
    "nightly_runs",
    "occupied",
    "run_all",
    "seeds_of",
    "short_runs",
]

SMALL_TILE = TileParameters(rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6)
"""Small enough for operands to be exhausted, with a partial sum buffer."""

BLOCK_TILES = (
    SMALL_TILE,
    # Two rows a beat and half a beat too many; no partial sums.
    TileParameters(rows=33, columns=32, row_blocks=1, partial_sums=0, vectors=300),
)
"""Tiles whose blocks are tested every time."""

MORE_BLOCK_TILES = (
    # One row and many lanes: every 16-bit weight.
    TileParameters(rows=1, columns=256, row_blocks=2, partial_sums=1, vectors=65535),
    TileParameters(rows=2, columns=16, row_blocks=7, partial_sums=3, vectors=1),
    TileParameters(rows=3, columns=48, row_blocks=65536, partial_sums=5, vectors=2**24),
    TileParameters(rows=8, columns=16, row_blocks=1, partial_sums=0, vectors=7),
    TileParameters(rows=32, columns=16, row_blocks=255, partial_sums=63),
    TileParameters(rows=64, columns=64),
    TileParameters(rows=100, columns=80, row_blocks=256, partial_sums=100),
    TileParameters(rows=1024, columns=16, row_blocks=65536, partial_sums=2),
)
"""Tiles that the long regression adds for blocks: the ends of every parameter's range."""

MORE_PORT_TILES = (
    # Operands can be exhausted.
    TileParameters(rows=1, columns=16, row_blocks=2, partial_sums=2, vectors=300),
    TileParameters(rows=2, columns=32, row_blocks=1, partial_sums=0, vectors=17),
    TileParameters(rows=33, columns=48, row_blocks=5, partial_sums=3),
    *(
        TileParameters(rows=rows, columns=columns)
        for rows, columns in ((16, 16), (32, 64), (64, 64), (128, 64), (128, 128), (256, 128))
    ),
)
"""Tiles that the long regression adds for ports."""


NIGHTLY_TILES = (
    (Bench.BLOCKS, BLOCK_TILES[1]),
    (Bench.TILE, TileParameters(rows=16, columns=16, row_blocks=4, partial_sums=8, vectors=40)),
    (Bench.TILE, TileParameters(rows=2, columns=32, row_blocks=1, partial_sums=0, vectors=17)),
    (Bench.TILE, TileParameters(rows=33, columns=48, row_blocks=5, partial_sums=3)),
)
"""What the nightly regression runs from every tenth seed; the small tile runs from all."""


def nightly_runs(seeds: int, exhaustive: Sequence[str]) -> list[Run]:
    """Runs of seeds 1 to ``seeds``; tests that draw nothing run from the first one only."""
    runs = []
    for seed in range(1, seeds + 1):
        some = [(bench, SMALL_TILE) for bench in Bench]
        some += NIGHTLY_TILES if seed % 10 == 1 else ()
        for bench, tile in some:
            left_out = [name for name in exhaustive if name.partition(".")[0] in bench.folders]
            runs.append(
                Run(
                    bench=bench,
                    tile=tile,
                    seed=seed,
                    leave_out=tuple(left_out) if seed > 1 else (),
                )
            )
    return runs


def seeds_of(tests: Sequence[dict]) -> dict[str, int]:
    """Of every test, from how many seeds it was run."""
    seeds: dict[str, set[int]] = {}
    for test in tests:
        seeds.setdefault(test["test"], set()).add(test["seed"])
    return {name: len(several) for name, several in sorted(seeds.items())}


COVERED_TILES = (
    SMALL_TILE,
    # Two rows a beat, half a beat too many, and no partial sums.
    TileParameters(rows=33, columns=16, row_blocks=1, partial_sums=0, vectors=12),
)
"""Tiles whose structural coverage is counted: small ones, of both kinds that are generated."""


def covered_runs(seeds: Sequence[int]) -> list[Run]:
    """Runs of which coverage is counted."""
    return [
        Run(bench=bench, tile=tile, seed=seed)
        for seed in seeds
        for tile in COVERED_TILES
        for bench in Bench
    ]


def short_runs(tile: TileParameters, seed: int) -> list[Run]:
    """Runs of every commit: small tiles, where a fault shows soonest, then the tile asked for."""
    return [
        Run(bench=Bench.BLOCKS, tile=SMALL_TILE, seed=seed),
        Run(bench=Bench.TILE, tile=SMALL_TILE, seed=seed),
        *([Run(bench=Bench.TILE, tile=tile, seed=seed)] if tile != SMALL_TILE else []),
        *(Run(bench=Bench.BLOCKS, tile=t, seed=seed) for t in BLOCK_TILES if t != SMALL_TILE),
    ]


def long_runs(tile: TileParameters, seed: int) -> list[Run]:
    """Those, and every other size on the list."""
    return [
        *short_runs(tile, seed),
        *(Run(bench=Bench.BLOCKS, tile=other, seed=seed) for other in MORE_BLOCK_TILES),
        *(Run(bench=Bench.TILE, tile=t, seed=seed) for t in MORE_PORT_TILES if t != tile),
    ]


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

    def assess(self, plan: TestPlan, more: dict[str, Outcome] | None = None) -> list[Assessment]:
        """Testpoints by the cocotb tests that were to be run; ``more`` gives outcomes of others.

        Those of a folder that no run has are left out: they belong to another command.
        """
        outcomes: dict[str, Outcome] = dict(more or {})
        for test in self.tests():
            if outcomes.get(test["test"]) is not Outcome.FAILED:
                outcomes[test["test"]] = Outcome(test["outcome"])
        folders = {name.partition(".")[0] for name in more or {}}
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


Task = Callable[[Callable[[str], None]], object]


def run_all(
    runs: Sequence[Run],
    models: Models,
    out: Path,
    *,
    others: dict[str, Task] | None = None,
    workers: int | None = None,
    again: bool = True,
    fail_fast: bool = False,
    failed: Callable[[object], bool] = lambda result: False,
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
    workers
        How many at a time; one a processor where it is not given.
    again
        Also run what has finished with the same design and tests.
    fail_fast
        Begin nothing behind a failure.
    failed
        Whether what another task gave is a failure.
    deadline
        By ``time.monotonic``: nothing is begun that would probably not end before it, and what has
        not ended then is cut off.
    progress, finished
        Called with the name of a task and its stage, or what it gave.

    Raises
    ------
    SimulationError
        From another task.
    """
    regression = Regression()
    results: dict[str, Record] = {}
    typical: dict[str, float] = {}  # seconds of a run of a model
    queue: list[tuple[str, Callable[[], object], str]] = []
    for run in runs:

        def execute_run(run=run):
            return execute(
                run,
                models,
                out / run.id,
                again=again,
                progress=lambda stage: progress(run.id, stage),
            )

        queue.append((run.id, execute_run, run.model))
    for name, task in (others or {}).items():

        def execute_task(name=name, task=task):
            return task(lambda stage: progress(name, stage))

        queue.insert(2, (name, execute_task, ""))

    stopping = False
    pending: dict[Future, tuple[str, str, float]] = {}
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        try:
            while (queue and not stopping) or pending:
                while queue and not stopping and len(pending) < pool._max_workers:
                    name, call, model = queue[0]
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left < typical.get(model, 0):
                        stopping = True
                        break
                    queue.pop(0)
                    pending[pool.submit(call)] = (name, model, time.monotonic())
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                done, _ = wait(pending, timeout=left, return_when=FIRST_COMPLETED)
                if not done and pending:  # out of time
                    stopping = True
                    models.processes.stop()
                    deadline = None
                for future in done:
                    name, model, began = pending.pop(future)
                    try:
                        result = future.result()
                    except StoppedError:
                        continue
                    typical[model] = max(typical.get(model, 0.0), time.monotonic() - began)
                    bad = (
                        result.state is not State.PASSED
                        if isinstance(result, Record)
                        else (failed(result))
                    )
                    if isinstance(result, Record):
                        results[name] = result
                    else:
                        regression.others[name] = result
                    finished(name, result)
                    stopping |= bad and fail_fast
        except BaseException:
            models.processes.stop()
            raise
    regression.records = [results[run.id] for run in runs if run.id in results]
    regression.not_run = [run for run in runs if run.id not in results]
    return regression
