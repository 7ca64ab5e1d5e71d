"""Folders that are written whole or not at all."""

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Give a new folder beside ``target`` to write into, and remove what is left of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_directory(staged: Path, target: Path) -> None:
    """Put a staged folder in the place of ``target`` in one step.

    A folder that stands there changes places with the staged one, since no rename replaces a
    folder that is not empty; the caller removes it.
    """
    _sync_directory(staged)
    if target.exists() and any(target.iterdir()):
        _exchange(staged, target)
    else:
        staged.rename(target)
    _sync_directory(target.parent)


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


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
