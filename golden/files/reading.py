"""Reading files that may come from strangers.

Every file is opened once. What it is and how large it is are asked of the open file, not of its
path, so that nothing can be put in its place in between, and nothing is read that blocks or never
ends: a pipe, a device or a folder is refused before its first byte.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileError(ValueError):
    """A path that holds no plain file of a bearable size. The message says which and what to do."""


def read_file(path: str | Path, most: int, *, links: bool = True) -> bytes:
    """Read a plain file of at most ``most`` bytes; see ``open_file``."""
    with open_file(path, most, links=links) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1)
    if len(data) != size:
        raise FileError(f"{path}: changed while it was read: try again once it is written")
    return data


@contextlib.contextmanager
def open_file(path: str | Path, most: int, *, links: bool = True) -> Iterator[BinaryIO]:
    """Open a plain file of at most ``most`` bytes.

    Parameters
    ----------
    path
        The file.
    most
        Largest number of bytes that is read; a larger file is refused by its size.
    links
        Whether the last part of the path may be a symbolic link. A file that another file names
        must not be one: it could stand for any file of the reader's.

    Raises
    ------
    FileError
        The path is no plain file, or too large.
    OSError
        The file is missing, or the system refuses to open it.

    """
    with open(open_descriptor(path, most, links=links), "rb") as file:
        yield file


def open_descriptor(path: str | Path, most: int, *, links: bool = True) -> int:
    """Open a plain file like ``open_file``, and return the descriptor, which is to be closed."""
    descriptor = _descriptor(path, links)
    try:
        status = os.fstat(descriptor)
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is not None:
            raise FileError(f"{path}: is {kind}, it must be a plain file")
        if status.st_size > most:
            raise FileError(
                f"{path}: has {status.st_size} bytes, expected at most {most}: it is not the file "
                "that was written"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _descriptor(path: str | Path, links: bool) -> int:
    """Open a path without waiting for anything."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not links:
            raise FileError(
                f"{path}: is a symbolic link: put the file itself in its place"
            ) from None
        if error.errno == errno.ENXIO:
            raise FileError(f"{path}: is a socket, it must be a plain file") from None
        raise
    # Python itself opens no folder.
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError(f"{path}: is a folder, it must be a plain file")
    return descriptor
