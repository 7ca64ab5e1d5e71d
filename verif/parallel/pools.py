"""Workers for tasks, each behind a ``concurrent.futures.Executor``.

A task either starts programs that run beside us, for which a thread is enough, or computes in
Python, for which it needs a process. A pool of threads, a pool of processes and the workers of a
Dask cluster take both.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from adq.verif.parallel.worker import identity, perform
from adq.verif.processes import Processes

__all__ = ["Away", "Pool", "ProcessPool", "Task", "ThreadPool"]


@dataclass(frozen=True)
class Away:
    """Work for another process or machine: everything in it can be pickled.

    Attributes
    ----------
    function
        Function of a module. It is called with the :class:`~adq.verif.processes.Processes` by which
        it must start programs, and then with ``arguments``. Paths in these are absolute.
    receive
        Called here with what the function gave; what it gives is the task's result. Files that a
        worker made come as bytes and are written here.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    receive: Callable[[Any], object] = lambda given: given


@dataclass(frozen=True)
class Task:
    """Something to be done beside others.

    Attributes
    ----------
    call
        Does it in a thread of this process. It may be missing where there is ``away``.
    kind : str
        Tasks of a kind take about as long as each other.
    away
        The same for another process. A task without it stays in this process.
    """

    name: str
    call: Callable[[], object] | None = None
    kind: str = ""
    away: Away | None = None


class Pool:
    """Workers that do tasks, several at a time."""

    executor: Executor
    workers: int
    """How many tasks are done at a time."""
    elsewhere = False
    """True if tasks with ``away`` are done without their ``call``."""

    def begin(self, task: Task) -> Future[Any]:
        """Begin a task. :meth:`finish` makes its result of the future, once that is done."""
        raise NotImplementedError

    def finish(self, task: Task, future: Future[Any]) -> object:
        """Return the result of a task, or raise what it has raised."""
        given = future.result()
        return given if task.away is None else task.away.receive(given)

    def stop(self) -> None:
        """End what is under way, with all programs that it started, and begin no more."""
        raise NotImplementedError

    def renew(self) -> None:
        """Replace workers that have died; what they did is begun again by whoever asks."""

    def close(self) -> None:
        """Give the workers back. What has not begun is not begun."""
        self.executor.shutdown(cancel_futures=True)


class ThreadPool(Pool):
    """Threads of this process, for tasks that start programs."""

    def __init__(self, workers: int, processes: Processes):
        self.workers = workers
        self.processes = processes
        self.executor = ThreadPoolExecutor(workers)

    def begin(self, task: Task) -> Future[Any]:
        if task.call is not None:
            return self.executor.submit(task.call)
        assert task.away is not None
        return self.executor.submit(task.away.function, self.processes, *task.away.arguments)

    def finish(self, task: Task, future: Future[Any]) -> object:
        return future.result() if task.call is not None else super().finish(task, future)

    def stop(self) -> None:
        self.processes.stop()


class ProcessPool(Pool):
    """Processes on this machine, for tasks that compute in Python."""

    elsewhere = True

    def __init__(self, workers: int):
        self.workers = workers
        self.name = uuid.uuid4().hex
        self._own = ThreadPoolExecutor(1)
        self._start()

    def _start(self) -> None:
        # A fork would inherit the pipes by which programs learn that their parent has ended, and
        # the locks of NumPy's threads.
        context = multiprocessing.get_context("spawn")
        theirs, self._ours = context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(
            self.workers, mp_context=context, initializer=_end_with_parent, initargs=(theirs,)
        )

    def begin(self, task: Task) -> Future[Any]:
        if task.away is None:
            assert task.call is not None
            return self._own.submit(task.call)
        work = functools.partial(perform, self.name, identity())
        return self.executor.submit(work, task.away.function, task.away.arguments)

    def stop(self) -> None:
        self._ours.close()  # which ends every process of the pool, and thereby its programs

    def renew(self) -> None:
        self.stop()
        self.executor.shutdown(cancel_futures=True)
        self._start()

    def close(self) -> None:
        super().close()
        self._own.shutdown(cancel_futures=True)
        self._ours.close()


def _end_with_parent(pipe: Connection) -> None:
    """End this process once the other end of a pipe is closed, as the system does for the dead.

    An interrupt from the terminal reaches all processes: the parent deals with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            pipe.recv_bytes()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
