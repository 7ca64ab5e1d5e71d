"""Parallel tasks, until a deadline or a result that ends all of them."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from adq.verif.processes import Processes, StoppedError

__all__ = ["Task", "side_by_side"]


@dataclass(frozen=True)
class Task:
    """A task to run in parallel with others."""

    name: str
    call: Callable[[], object]
    kind: str = ""
    """Tasks of a kind take about as long as each other."""


def side_by_side(
    tasks: Sequence[Task],
    processes: Processes,
    *,
    workers: int,
    deadline: float | None = None,
    ends: Callable[[object], bool] = lambda result: False,
) -> Iterator[tuple[str, object]]:
    """Start tasks in their order, some in parallel, and yield the name and result of each one as it
    finishes.

    Nothing is begun behind a result that ``ends`` it all, nor what would probably not be done by
    the deadline; what is not done then is cut off.
    """
    queue = deque(tasks)
    pending: dict[Future[object], tuple[Task, float]] = {}
    longest: dict[str, float] = {}
    ending = False

    def left() -> float:
        return float("inf") if deadline is None else deadline - time.monotonic()

    with ThreadPoolExecutor(workers) as pool:
        try:
            while pending or (queue and not ending):
                while queue and not ending and len(pending) < workers:
                    ending = left() < longest.get(queue[0].kind, 0)
                    if not ending:
                        task = queue.popleft()
                        pending[pool.submit(task.call)] = task, time.monotonic()
                timeout = None if deadline is None else max(0.0, left())
                done, _ = wait(pending, timeout, FIRST_COMPLETED)
                if pending and not done:  # out of time
                    ending, deadline = True, None
                    processes.stop()
                for future in done:
                    task, began = pending.pop(future)
                    try:
                        result = future.result()
                    except StoppedError:
                        continue
                    seconds = time.monotonic() - began
                    longest[task.kind] = max(longest.get(task.kind, 0.0), seconds)
                    ending |= ends(result)
                    yield task.name, result
        except BaseException:
            processes.stop()
            raise
