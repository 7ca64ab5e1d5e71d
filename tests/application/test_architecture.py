"""Imports between the project's files: one way between rooms, and no circles."""

import ast
import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGE = ROOT / "sw" / "adq"

ALLOWED = {
    "rtl": {"rtl"},
    "golden": {"golden", "rtl.parameters", "rtl.platform.descriptors", "rtl.platform.parameters"},
    "verif": {"verif", "golden", "rtl"},
}
"""Rooms, and what each may import; the rooms of ``sw/adq`` may import everything."""


def files() -> dict[str, Path]:
    """Every module by its name. The links to the top-level folders are followed."""
    folders = [PACKAGE, *(PACKAGE / name for name in ALLOWED)]
    found = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            name = ".".join(("adq", *path.relative_to(PACKAGE).with_suffix("").parts))
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, modules) -> set[str]:
    """Modules of ours that a file imports, those for type checkers included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # ``from package import module`` asks the package for nothing else.
            found |= inner & modules.keys() or {node.module}
    return found & modules.keys()


MODULES = files()
IMPORTS = {name: imports(path, MODULES) - {name} for name, path in MODULES.items()}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_rooms_below_it(room):
    allowed = tuple(f"adq.{name}" for name in ALLOWED[room])
    for name, imported in IMPORTS.items():
        if name.startswith(f"adq.{room}."):
            above = {one for one in imported if not f"{one}.".startswith(_prefixes(allowed))}
            assert above == set(), f"{name} imports {sorted(above)}"


def _prefixes(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in names)


def test_no_file_imports_itself_by_way_of_others():
    circles = [sorted(part) for part in components(IMPORTS) if len(part) > 1]
    assert circles == []


def components(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components: modules of which each reaches all others."""
    reached = {name: reachable(graph, name) for name in graph}
    found, seen = [], set()
    for name in graph:
        if name not in seen:
            part = {other for other in reached[name] if name in reached[other]} | {name}
            found.append(part)
            seen |= part
    return found


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Modules that a module imports, directly or by way of others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def test_types_are_checked_in_all_that_the_wheel_holds():
    tools = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["tool"]
    left_out = tools["hatch"]["build"]["targets"]["wheel"]["exclude"]
    unchecked = [re.compile(each) for each in tools["mypy"]["exclude"]]
    for path in MODULES.values():
        name = path.relative_to(PACKAGE.parent).as_posix()
        shipped = not any(f"sw/{name}".startswith(f"{folder}/") for folder in left_out)
        checked = not any(each.search(f"/{name}") for each in unchecked)
        assert shipped == checked, name


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert sorted(map(sorted, components(graph))) == [["a"], ["b", "c"], ["d"]]


ONE_A_FILE = ("cli/commands", "cli/dev")
"""Rooms that grow by a file a command."""


def test_rooms_are_small_enough_to_look_around():
    loose: dict[Path, int] = {}
    for path in [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]:
        if path.name != "__init__.py":
            loose[path.parent] = loose.get(path.parent, 0) + 1
    crowded = {
        os.path.relpath(folder, PACKAGE): count
        for folder, count in loose.items()
        if count > 12 and not folder.as_posix().endswith(ONE_A_FILE)
    }
    assert crowded == {}
