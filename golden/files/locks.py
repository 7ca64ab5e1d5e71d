"""Locks that die with their process."""

import contextlib
import fcntl
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["LockError", "locked", "waiting"]

POLL = 0.1
"""Seconds between two looks at a lock that another process holds."""


class LockError(ValueError):
    """A place that another process is writing to; the message names the process."""


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of an output for the duration of a context.

    The lock is a file ``.NAME.lock`` beside the target, or in it where nothing can be written
    beside it. The system gives the lock back when its process ends, however it ends: a file that is
    left behind locks nothing.

    Raises
    ------
    LockError
        Another process holds it.
    OSError
        Nothing can be written there.

    """
    place, descriptor = _open(target)
    try:
        _acquire(descriptor, target)
        try:
            _note_holder(descriptor)
            yield
        finally:
            place.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def waiting(target: Path, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait for the lock of an output, and hold it for the duration of a context.

    Parameters
    ----------
    check
        Called while waiting; whatever it raises ends the wait.

    """
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(target))
                break
            except LockError:
                check()
                time.sleep(POLL)
        yield


def _open(target: Path) -> tuple[Path, int]:
    """Open the file of a lock, and find it still there once it is open."""
    target = target.absolute()
    beside = target.with_name(f".{target.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        return beside, descriptor
    except OSError:
        if not target.is_dir():
            raise
    inside = target / ".lock"
    return inside, os.open(inside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _acquire(descriptor: int, target: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 500, 0).decode(errors="replace").strip()
        raise LockError(
            f"{target}: {holder or 'another process'} is writing there: wait for its end, or "
            "choose another --out"
        ) from None
    if not os.fstat(descriptor).st_nlink:
        # Its holder ended, and removed the file, between our opening and our locking it.
        raise LockError(f"{target}: another process has just ended there: try again")


def _note_holder(descriptor: int) -> None:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:300]
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} ({command})\n".encode(), 0)
