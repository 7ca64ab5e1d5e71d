"""The pool that a user asks for: of this process, or of a cluster."""

import contextlib
import os
from collections.abc import Iterator

from adq.verif.parallel.pools import Pool, ProcessPool, ThreadPool
from adq.verif.processes import Processes

__all__ = ["pool_of"]


@contextlib.contextmanager
def pool_of(
    cluster: str = "",
    *,
    workers: int | None = None,
    processes: Processes | None = None,
) -> Iterator[Pool]:
    """Give the pool that a user asks for.

    Parameters
    ----------
    cluster
        Address of a Dask scheduler (``tcp://host:port``), or ``local:N`` for a cluster of N workers
        on this machine; empty for a pool of this process.
    workers
        Workers of a pool of this process. Default: one a processor.
    processes
        Programs of the tasks. With it, tasks run in threads, else in processes.

    Raises
    ------
    ParallelError
        If there is no such cluster, or its workers are of another version.
    """
    if cluster:
        from adq.verif.parallel.cluster import cluster_pool

        with cluster_pool(cluster) as found:
            yield found
        return
    workers = workers or os.cpu_count() or 1
    pool: Pool = ProcessPool(workers) if processes is None else ThreadPool(workers, processes)
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.close()
