"""Folders that are written whole or not at all."""

import contextlib
import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def scratch_directory(parent: Path, name: str) -> Iterator[Path]:
    """Give a new folder ``.NAME.PID.*.tmp`` to write into, and remove what is left of it.

    Folders of the same name whose process was killed are removed, too.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_dead(parent, name)
    made = tempfile.mkdtemp(prefix=f".{name}.{os.getpid()}.", suffix=".tmp", dir=parent)
    scratch = Path(made)
    descriptor = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Held as long as this process lives; file systems without locks have the number alone.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scratch.chmod(0o777 & ~umask())  # a temporary folder is for its owner only
        yield scratch
    finally:
        os.close(descriptor)
        shutil.rmtree(scratch, ignore_errors=True)


def temporary_directory() -> contextlib.AbstractContextManager[Path]:
    """Give a new folder for files that nobody looks for, and remove what is left of it.

    It lies where the system keeps such folders, and is removed even if this process is killed, by
    the next one.
    """
    return scratch_directory(Path(tempfile.gettempdir()), f"adq-{os.getuid()}")


def staged_directory(target: Path) -> contextlib.AbstractContextManager[Path]:
    """Give a new folder beside ``target`` to write into, and remove what is left of it."""
    return scratch_directory(target.parent, target.name)


def umask() -> int:
    """Return the permissions that the user's new files lack; the system has no other way."""
    now = os.umask(0o077)
    os.umask(now)
    return now


def _remove_dead(parent: Path, name: str) -> None:
    """Remove scratch folders whose process is gone: it holds no lock, and its number is free."""
    for scratch in parent.glob(f".{glob.escape(name)}.*.tmp"):
        process = scratch.name.removeprefix(f".{name}.").partition(".")[0]
        if not process.isdecimal() or _lives(int(process)):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(scratch, ignore_errors=True)
            finally:
                os.close(descriptor)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until the disk has a file or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_directory(staged: Path, target: Path) -> None:
    """Put a staged folder in the place of ``target`` in one step.

    A folder that stands there changes places with the staged one, since no rename replaces a
    folder that is not empty; the caller removes it.
    """
    sync(staged)
    if target.exists() and any(target.iterdir()):
        _exchange(staged, target)
    else:
        staged.rename(target)
    sync(target.parent)


def _exchange(one: Path, other: Path) -> None:
    """Swap two names on Linux, atomically."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    paths = os.fsencode(one), os.fsencode(other)
    if renameat2 is None or renameat2(
        _AT_FDCWD, paths[0], _AT_FDCWD, paths[1], ctypes.c_uint(_RENAME_EXCHANGE)
    ):
        reason = os.strerror(ctypes.get_errno()) if renameat2 else "not Linux"
        raise OSError(
            ctypes.get_errno(),
            f"a folder cannot be replaced in one step here ({reason}): remove it first, then "
            "export again",
            str(other),
        )
