"""Holds the test plan to the tests, proofs and bins that there are.

Tests are found by reading their files, without running them and without a simulator.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.verif.signoff.plan.testplan import ROOT, TestPlan, TestPlanError, matching
from adq.verif.simulation.functional_coverage import GROUPS, bin_names

__all__ = ["PytestFile", "check", "cocotb_tests", "proof_names", "pytest_files"]

CONTRACT = {"rtl", "golden", "verif"}
"""What holds the contracts: a pytest file that imports any of it must be in the plan."""


def cocotb_tests(root: Path = ROOT) -> set[str]:
    """Return the names of all cocotb tests, and of what drives a simulation for a command."""
    tests = (root / "verif" / "cocotb").glob("*/test_*.py")
    drivers = (root / "verif" / "simulation" / "drivers").glob("*.py")
    return {
        f"{file.stem.removeprefix('test_')}.{function.name}"
        for file in sorted([*tests, *drivers])
        for function in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(function, ast.AsyncFunctionDef)
        and any(ast.unparse(one).startswith("cocotb.test(") for one in function.decorator_list)
    }


@dataclass(frozen=True)
class PytestFile:
    """A file of pytest tests, by its path below the root."""

    name: str
    tests: frozenset[str]
    of_contract: bool
    """Whether it imports what holds the contracts."""


def pytest_files(root: Path = ROOT) -> dict[str, PytestFile]:
    """All files of pytest tests."""
    files = {}
    for path in sorted((root / "tests").glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        tests, imported = set(), set()
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                tests.add(node.name)
            elif isinstance(node, ast.Import):
                imported |= {_room(alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported |= {_room(f"{node.module}.{alias.name}") for alias in node.names}
        name = path.relative_to(root).as_posix()
        files[name] = PytestFile(name, frozenset(tests), bool(imported & CONTRACT))
    return files


def _room(module: str) -> str:
    """Return the room of a module of ours, such as ``rtl``; of another, its second name or none."""
    return module.split(".")[1] if module.startswith("adq.") else ""


def proof_names() -> list[str]:
    """Names of all proofs."""
    from adq.verif.signoff.formal.catalog import PROOFS

    return [proof.name for proof in PROOFS]


def check(
    plan: TestPlan,
    *,
    tests: set[str] | None = None,
    files: Mapping[str, PytestFile] | None = None,
    proofs: Sequence[str] | None = None,
    groups: Iterable[str] = GROUPS,
) -> None:
    """Hold a plan to what is there: this repository's tests and proofs, where none are given.

    Raises
    ------
    TestPlanError
        If a test, proof or group has no testpoint, a testpoint has nothing that shows it, or a
        name does not exist. The message has a line for each.
    """
    tests = cocotb_tests() if tests is None else tests
    files = pytest_files() if files is None else files
    proofs = proof_names() if proofs is None else proofs
    problems = [
        *_names_that_do_not_exist(plan, tests, files, proofs, groups),
        *_what_no_testpoint_has(plan, tests, files, proofs, groups),
    ]
    names = [point.name for point in plan.testpoints]
    problems += [f"testpoint {name}: there are two" for name in names if names.count(name) > 1]
    problems += [
        f"testpoint {point.name}: nothing shows it: name a test or a proof"
        for point in plan.testpoints
        if not (point.tests or point.pytest or point.proofs)
    ]
    if problems:
        raise TestPlanError("\n".join(f"testplan.toml: {p}" for p in dict.fromkeys(problems)))


def _names_that_do_not_exist(plan, tests, files, proofs, groups) -> Iterator[str]:
    for point in plan.testpoints:
        where = f"testpoint {point.name}"
        for name in point.tests:
            if name not in tests:
                yield f"{where}: there is no cocotb test {name}"
        for name in point.pytest:
            file, _, test = name.partition("::")
            if file not in files or (test and test not in files[file].tests):
                yield f"{where}: there is no pytest {name}"
        for pattern in point.proofs:
            if not matching(pattern, proofs):
                yield f"{where}: there is no proof {pattern}"
        for name in point.bins:
            if name not in groups:
                yield f"{where}: there is no group of bins {name}"
    for name in plan.exhaustive:
        if name not in tests:
            yield f"exhaustive: there is no cocotb test {name}"
    for name in plan.outside_tests:
        if name not in tests:
            yield f"outside: there is no cocotb test {name}"
    for name in plan.outside_files:
        if name not in files:
            yield f"outside: there is no file {name}"
    for network in plan.networks:
        for pattern in network.missing(bin_names()):
            yield f"networks {network.artifact}: there is no bin {pattern}"


def _what_no_testpoint_has(plan, tests, files, proofs, groups) -> Iterator[str]:
    planned = {name for point in plan.testpoints for name in point.tests}
    for name in sorted(tests - planned - set(plan.outside_tests)):
        yield f"cocotb test {name} has no testpoint"
    ids = {name for point in plan.testpoints for name in point.pytest}
    for file in files.values():
        if not file.of_contract or file.name in ids or file.name in plan.outside_files:
            continue
        missing = sorted(test for test in file.tests if f"{file.name}::{test}" not in ids)
        if len(missing) == len(file.tests):
            yield f"{file.name} has no testpoint"
        else:
            yield from (f"{file.name}::{test} has no testpoint" for test in missing)
    shown = {
        name
        for point in plan.testpoints
        for pattern in point.proofs
        for name in matching(pattern, proofs)
    }
    yield from (f"proof {name} has no testpoint" for name in proofs if name not in shown)
    binned = {name for point in plan.testpoints for name in point.bins}
    yield from (f"group of bins {name} has no testpoint" for name in groups if name not in binned)
