"""The place that a command writes to."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from adq.golden.files.locks import locked

__all__ = ["claimed"]

FILES = {".html", ".json", ".pdf", ".png", ".svg"}
"""Endings of outputs that are single files."""


@contextlib.contextmanager
def claimed(place: Path, *, alone: bool) -> Iterator[None]:
    """Find out that a file or folder can be written, and keep others from writing it.

    Parameters
    ----------
    place
        A folder, or a file where the name has an ending.
    alone
        Whether the place is locked while the context lasts.

    Raises
    ------
    OSError
        Nothing can be written there; ``filename`` is the place.
    adq.golden.files.locks.LockError
        Another process has locked it.

    """
    folder = place.parent if place.suffix in FILES else place
    made = _missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(place)
        raise
    try:
        with locked(place) if alone else contextlib.nullcontext():
            yield
    finally:
        for each in made:
            with contextlib.suppress(OSError):  # it holds something now
                each.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return a folder and its parents that are not there, the deepest first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing
