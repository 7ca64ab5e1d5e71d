"""Files of results, and what of them can be read."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adq.golden.files.json_reader import MAXIMUM_BYTES, JsonError, parse
from adq.golden.files.reading import FileError, read_file

__all__ = ["SOURCES", "Source", "read_sources"]

SOURCES = {
    "testplan": ("testplan.json", "make testplan"),
    "regression": ("regression/regression.json", "make sim"),
    "nightly": ("nightly/nightly.json", "make nightly"),
    "coverage": ("coverage/coverage.json", "make coverage"),
    "proofs": ("formal/formal.json", "make formal"),
    "mutation": ("mutation/mutation.json", "make mutate"),
    "mutation_python": ("mutation-python/mutation-python.json", "make mutate-python"),
    "injection": ("injection/injection.json", "make inject"),
    "simulation": ("sim/simulation.json", "adq sim DIR..."),
    "demo": ("demo/sim/simulation.json", "make demo"),
    "bench_rtl": ("bench-rtl.json", "make bench-rtl"),
}
"""Name of each, its file below the folder of builds, and the command that writes it."""


@dataclass(frozen=True)
class Source:
    """A file of results.

    Attributes
    ----------
    document : what it holds; None where it is absent or cannot be read
    problem : str
        Why it cannot be read; empty where it can, or is absent.
    """

    name: str
    path: Path
    command: str
    document: Any = None
    problem: str = ""
    sha256: str = ""
    modified: str = ""

    def as_dict(self) -> dict:
        """Return the same for programs, without what it holds."""
        state = "read" if self.document is not None else "unreadable" if self.problem else "not run"
        return {
            "name": self.name,
            "file": str(self.path),
            "command": self.command,
            "state": state,
            "problem": self.problem,
            "sha256": self.sha256,
            "modified": self.modified,
        }


def read_sources(folder: Path) -> dict[str, Source]:
    """Return every file of results below a folder of builds."""
    return {name: _read(name, folder / file, command) for name, (file, command) in SOURCES.items()}


def _read(name: str, path: Path, command: str) -> Source:
    try:
        content = read_file(path, MAXIMUM_BYTES)
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return Source(name, path, command)
    except OSError as error:
        return Source(name, path, command, problem=f"{error.strerror}: check its permissions")
    except FileError as error:
        return Source(name, path, command, problem=str(error))
    known = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "modified": modified.isoformat(timespec="seconds"),
    }
    try:
        document = parse(content)
    except JsonError as error:
        return Source(name, path, command, problem=str(error), **known)
    if not isinstance(document, dict):
        return Source(name, path, command, problem="not an object of JSON", **known)
    return Source(name, path, command, document, **known)
