"""Parallel tasks, until a deadline or a result that ends all of them."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from adq.verif.parallel.pools import Pool, Task
from adq.verif.parallel.worker import ParallelError
from adq.verif.processes import StoppedError

__all__ = ["side_by_side"]

ATTEMPTS = 3
"""Times that a task is begun whose worker dies."""


def side_by_side(
    tasks: Sequence[Task],
    pool: Pool,
    *,
    deadline: float | None = None,
    ends: Callable[[object], bool] = lambda result: False,
) -> Iterator[tuple[str, object]]:
    """Start tasks in their order, some in parallel, and yield the name and result of each one as it
    finishes.

    Nothing is begun behind a result that ``ends`` it all, nor what would probably not be done by
    the deadline; what is not done then is cut off. Tasks of a worker that dies are begun again.

    Raises
    ------
    ParallelError
        If the workers of a task die again and again.
    """
    queue = deque(tasks)
    pending: dict[Future[object], tuple[Task, float]] = {}
    longest: dict[str, float] = {}
    attempts: Counter[str] = Counter()
    ending = stopped = False

    def left() -> float:
        return float("inf") if deadline is None else deadline - time.monotonic()

    def at_home(task: Task) -> bool:
        """Return whether a task takes no worker, since these are elsewhere."""
        return pool.elsewhere and task.away is None

    def busy() -> int:
        return sum(not at_home(task) for task, _ in pending.values())

    try:
        while pending or (queue and not ending):
            while queue and not ending and (at_home(queue[0]) or busy() < pool.workers):
                ending = left() < longest.get(queue[0].kind, 0)
                if not ending:
                    task = queue.popleft()
                    attempts[task.name] += 1
                    pending[pool.begin(task)] = task, time.monotonic()
            timeout = None if deadline is None else max(0.0, left())
            done, _ = wait(pending, timeout, FIRST_COMPLETED)
            if pending and not done:  # out of time
                ending = stopped = True
                deadline = None
                pool.stop()
            died = []
            for future in done:
                task, began = pending.pop(future)
                try:
                    result = pool.finish(task, future)
                except StoppedError:
                    continue
                except BrokenExecutor:
                    died.append(task)
                    continue
                seconds = time.monotonic() - began
                longest[task.kind] = max(longest.get(task.kind, 0.0), seconds)
                ending |= ends(result)
                yield task.name, result
            if died and not stopped:
                # What else the workers had has broken with it.
                away = [future for future, (task, _) in pending.items() if task.away]
                died += [pending.pop(future)[0] for future in away]
                pool.renew()
                for task in died:
                    if attempts[task.name] == ATTEMPTS:
                        raise ParallelError(
                            f"{task.name}: its worker has died {ATTEMPTS} times: look for want of "
                            "memory, or give fewer --processes"
                        )
                queue.extendleft(reversed(died))
    except BaseException:
        pool.stop()
        raise
