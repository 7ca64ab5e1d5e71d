"""Markers of tests, which name the testpoints that a test covers.

Files are read, not imported: neither a simulator nor a tile is needed.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Marker", "PytestFile", "cocotb_tests", "pytest_files"]

CONTRACT = {"rtl", "golden", "verif"}
"""Rooms that hold the contracts: a pytest file that imports any of them must be marked."""


@dataclass(frozen=True)
class Marker:
    """Testpoints that a test covers, or the reason why it covers none."""

    testpoints: tuple[str, ...] = ()
    exhaustive: bool = False
    reason: str = ""


@dataclass(frozen=True)
class PytestFile:
    """A file of pytest tests, and its markers."""

    tests: frozenset[str]
    of_contract: bool
    """True if it imports what holds the contracts."""
    marker: Marker | None = None
    """Marker of all tests of the file."""
    marked: dict[str, Marker] = field(default_factory=dict)
    """Markers of single tests."""


def _marker(calls: Sequence[ast.expr], name: str) -> Marker | None:
    """Return the marker ``name(...)`` from a list of calls, or None."""
    for call in calls:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == name:
            keywords = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            return Marker(tuple(map(ast.literal_eval, call.args)), **keywords)
    return None


def cocotb_tests(root: Path) -> dict[str, Marker | None]:
    """Return the markers of all cocotb tests, and of drivers that simulate for a command, by file
    and function.
    """
    tests = (root / "verif" / "cocotb").glob("*/test_*.py")
    drivers = (root / "verif" / "simulation" / "drivers").glob("*.py")
    return {
        f"{file.stem.removeprefix('test_')}.{function.name}": _marker(
            function.decorator_list, "shows"
        )
        for file in sorted([*tests, *drivers])
        for function in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(function, ast.AsyncFunctionDef)
        and any(ast.unparse(one).startswith("cocotb.test(") for one in function.decorator_list)
    }


def pytest_files(root: Path) -> dict[str, PytestFile]:
    """Return all files of pytest tests by their path below the root; none if the tests are not
    installed.
    """
    files = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        tests, imported, marker, marked = set(), set(), None, {}
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                tests.add(node.name)
                if own := _marker(node.decorator_list, "pytest.mark.testpoint"):
                    marked[node.name] = own
            elif isinstance(node, ast.Import):
                imported |= {_room(alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported |= {_room(f"{node.module}.{alias.name}") for alias in node.names}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                calls = node.value.elts if isinstance(node.value, ast.List) else [node.value]
                marker = _marker(calls, "pytest.mark.testpoint")
        name = path.relative_to(root).as_posix()
        of_contract = bool(imported & CONTRACT)
        files[name] = PytestFile(frozenset(tests), of_contract, marker, marked)
    return files


def _room(module: str) -> str:
    """Return the room of one of the project's modules, such as ``rtl``, or an empty string."""
    return module.split(".")[1] if module.startswith("adq.") else ""
