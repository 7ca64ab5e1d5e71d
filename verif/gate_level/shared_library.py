"""Simulators in C++ that are called from Python."""

import ctypes
import hashlib
from pathlib import Path

from adq.golden.files.directory import scratch_directory
from adq.verif.processes import run_to_end
from adq.verif.simulation.simulator import SimulationError

__all__ = ["load_compiled"]


def load_compiled(source: Path, cache: Path) -> ctypes.CDLL:
    """Return a C++ file as a shared library, which is compiled once and kept in ``cache``.

    Raises
    ------
    SimulationError
        If it does not compile.
    """
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = cache.resolve() / f"{source.stem.replace('_', '-')}-{digest}.so"
    if library.exists():
        return ctypes.CDLL(str(library))
    with scratch_directory(cache, library.name) as scratch:
        made = scratch / library.name
        command: list[str | Path | int] = [
            *("c++", "-O2", "-std=c++17", "-shared", "-fPIC"), source, "-o", made
        ]  # fmt: skip
        compiled = run_to_end(command)
        if compiled.returncode:
            reason = (compiled.stderr.strip() or "no reason given").splitlines()[0]
            raise SimulationError(f"{source.name} did not compile: {reason}")
        made.rename(library)
    return ctypes.CDLL(str(library))
