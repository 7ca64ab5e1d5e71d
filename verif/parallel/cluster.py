"""Workers of a Dask cluster: of a scheduler that runs elsewhere, or of one that is started here."""

import contextlib
import logging
import pickle
import re
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import distributed
from distributed.comm.core import CommClosedError

from adq.verif.parallel.pools import Pool, Task
from adq.verif.parallel.worker import (
    ParallelError,
    difference,
    end_programs,
    identity,
)

__all__ = ["ClusterPool", "cluster_pool"]

MISSING = "a worker is without adq.verif.parallel:"

PATIENCE = 30
"""Seconds in which a scheduler must answer, and then have a worker."""


class ClusterPool(Pool):
    """Workers of a Dask cluster.

    The scheduler gives the tasks of a worker that has died to others. A task that kills one worker
    after the other is an error.
    """

    elsewhere = True

    def __init__(self, client: distributed.Client):
        self.client = client
        self.name = uuid.uuid4().hex
        self.executor = client.get_executor(pure=False)
        self._own = ThreadPoolExecutor(1)

    @property
    def workers(self) -> int:  # type: ignore[override]  # workers come and go
        """Threads of all workers that are there now."""
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def begin(self, task: Task) -> Future[Any]:
        if task.away is None:
            assert task.call is not None
            return self._own.submit(task.call)
        work = pickle.dumps((task.away.function, task.away.arguments))
        future: Future[Any] = self.executor.submit(_performer(), self.name, identity(), work)
        return future

    def finish(self, task: Task, future: Future[Any]) -> object:
        try:
            return super().finish(task, future)
        except distributed.scheduler.KilledWorker:
            raise ParallelError(
                f"{task.name}: all workers that were given it have died: look into their logs, for "
                "want of memory above all"
            ) from None
        except RuntimeError as error:
            if str(error).startswith(MISSING):
                raise ParallelError(
                    f"{error}: install the same version of adq on every machine"
                ) from None
            raise
        except (CancelledError, CommClosedError):
            raise ParallelError(
                "the Dask scheduler is no longer there: what has finished is kept; start it again, "
                "and give the same command"
            ) from None

    def stop(self) -> None:
        with contextlib.suppress(Exception):  # of a cluster that is no longer there
            self.client.run(end_programs, self.name, on_error="ignore")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.executor.shutdown(wait=False, cancel_futures=True)
        self._own.shutdown(cancel_futures=True)


def _performer() -> Callable[[str, dict[str, str], bytes], Any]:
    """Return the function that workers are sent.

    It is a function within a function, which is sent with its code: a name that a worker cannot
    import would end the worker.
    """

    def receive(pool: str, expected: dict[str, str], work: bytes) -> Any:
        try:
            from adq.verif.parallel.worker import perform_pickled
        except ImportError as error:
            raise RuntimeError(f"{MISSING} {error}") from None
        return perform_pickled(pool, expected, work)

    return receive


@contextlib.contextmanager
def cluster_pool(address: str) -> Iterator[ClusterPool]:
    """Give the workers of a cluster; a cluster that was started here ends with the context.

    Raises
    ------
    ParallelError
        If the address is none, no scheduler answers, it has no worker, or one of another version.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(address, stack))
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise ParallelError(
                f"{address}: the scheduler has had no worker for {PATIENCE} s: start some with "
                f"`dask worker {address}`"
            ) from None
        _require_same_version(client)
        pool = ClusterPool(client)
        try:
            yield pool
        except BaseException:
            pool.stop()
            raise
        finally:
            pool.close()


def _client(address: str, stack: contextlib.ExitStack) -> distributed.Client:
    local = re.fullmatch(r"local:([1-9]\d*)", address)
    if local:
        with _interrupts_ignored():
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=int(local[1]),
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        return distributed.Client(cluster)
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", address):
        raise ParallelError(
            f"{address!r} is no cluster: give the address of a Dask scheduler, such as "
            "tcp://node7:8786, or local:2 for two workers on this machine"
        )
    try:
        return distributed.Client(address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError):
        raise ParallelError(
            f"{address}: no Dask scheduler answers there within {PATIENCE} s: start one with "
            "`dask scheduler`, or leave out --cluster"
        ) from None


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore interrupts from the terminal, as processes that are started meanwhile then do.

    They reach all processes of a terminal, and this one deals with them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _require_same_version(client: distributed.Client) -> None:
    """Refuse workers whose results would not be ours. Later ones are checked with each task."""

    def ask() -> dict[str, str]:  # sent with its code, as the function above
        try:
            from adq.verif.parallel.worker import identity
        except ImportError as error:
            return {"missing": str(error)}
        return identity()

    here = identity()
    for worker, there in client.run(ask).items():
        if "missing" in there:
            raise ParallelError(
                f"{worker}: {there['missing']}: install the same version of adq on every machine"
            )
        differs = difference(here, there)
        if differs:
            raise ParallelError(
                f"{worker} is of another version ({differs}): install the same there, and start "
                "the worker again"
            )
