"""The test plan: what the contracts promise, and which tests, proofs and bins show each promise.

The plan is ``verif/testplan.toml``. Tests are found by reading their files, without running them
and without a simulator.
"""

import ast
import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from verif.coverage.functional import GROUPS, bin_names

__all__ = [
    "Assessment",
    "Exclusion",
    "Networks",
    "Outcome",
    "TestPlan",
    "TestPlanError",
    "Testpoint",
    "assess",
    "check",
    "cocotb_tests",
    "proof_names",
    "pytest_files",
    "read_plan",
]

ROOT = Path(__file__).parents[1]

CONTRACT = {"rtl", "golden", "verif"}
"""What holds the contracts: a pytest file that imports any of it must be in the plan."""

TABLES = {
    "testpoint": {"name", "stage", "promise", "tests", "pytest", "proofs", "bins"},
    "exclusion": {"kind", "instance", "points", "reason"},
    "networks": {"artifact", "bins"},
    "outside": {"files", "tests", "reason"},
}
"""Tables of the plan, and the keys that each may have."""


class TestPlanError(ValueError):
    """A plan that cannot be read, or that does not suit what is there; one line a problem."""

    __test__ = False


@dataclass(frozen=True, kw_only=True)
class Testpoint:
    """A promise, and the names of what shows it."""

    __test__ = False

    name: str
    stage: str
    """Of the chain from training to the tile's results."""
    promise: str
    tests: tuple[str, ...] = ()
    """cocotb tests: the folder of ``verif/cocotb/``, a dot, and the function."""
    pytest: tuple[str, ...] = ()
    """Files below the root, or ``file::test``."""
    proofs: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    """Groups of :mod:`verif.coverage.functional`."""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Points of the structural coverage that no test need reach, and why."""

    kind: str
    """``line``, ``branch`` or ``toggle``."""
    instance: str
    """Regular expression of instances' names: a model, a space, the path in it."""
    points: tuple[str, ...]
    """Regular expressions of the points' names: a net with its bit and edge, or a place in the
    sources with what happens there."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What a shipped network's vectors must reach."""

    artifact: str
    bins: tuple[str, ...]
    """Regular expressions, each of which must match a bin that is reached."""

    def missing(self, reached: Iterable[str]) -> list[str]:
        """Expressions that match no bin reached."""
        names = list(reached)
        return [one for one in self.bins if not any(re.fullmatch(one, name) for name in names)]


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """The whole plan."""

    __test__ = False

    testpoints: tuple[Testpoint, ...]
    exhaustive: tuple[str, ...] = ()
    """cocotb tests that draw nothing, or every value there is."""
    exclusions: tuple[Exclusion, ...] = ()
    networks: tuple[Networks, ...] = ()
    outside_files: tuple[str, ...] = ()
    outside_tests: tuple[str, ...] = ()

    def points_of(self, test: str) -> list[str]:
        """Names of the testpoints that a cocotb test stands in."""
        return [point.name for point in self.testpoints if test in point.tests]


def read_plan(path: Path | None = None) -> TestPlan:
    """Read a plan; that of this repository where no path is given.

    Raises
    ------
    TestPlanError
        If it cannot be read, or has a key that is none.
    """
    path = path or Path(__file__).with_name("testplan.toml")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TestPlanError(f"{path}: cannot read the test plan: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TestPlanError(f"{path}: not valid TOML: {error}") from None
    for name in document:
        if name not in {*TABLES, "exhaustive"}:
            known = ", ".join([*TABLES, "exhaustive"])
            raise TestPlanError(f"{path}: unknown table {name!r}; known: {known}")
    tables = {name: list(_entries(path, document, name)) for name in TABLES}
    outside = tables["outside"]
    try:
        return TestPlan(
            testpoints=tuple(Testpoint(**entry) for entry in tables["testpoint"]),
            exhaustive=tuple(document.get("exhaustive", ())),
            exclusions=tuple(Exclusion(**entry) for entry in tables["exclusion"]),
            networks=tuple(Networks(**entry) for entry in tables["networks"]),
            outside_files=tuple(name for entry in outside for name in entry.get("files", ())),
            outside_tests=tuple(name for entry in outside for name in entry.get("tests", ())),
        )
    except TypeError as error:
        raise TestPlanError(f"{path}: an entry lacks a key: {error}") from None


def _entries(path: Path, document: Mapping, table: str) -> Iterator[dict]:
    """Entries of a table, lists as tuples, their keys and reasons checked."""
    for number, entry in enumerate(document.get(table, ()), 1):
        where = f"{path}: [[{table}]] {entry.get('name', number)}"
        for key in entry:
            if key not in TABLES[table]:
                known = ", ".join(sorted(TABLES[table]))
                raise TestPlanError(f"{where}: unknown key {key!r}; known: {known}")
        if "reason" in TABLES[table] and not entry.get("reason", "").strip():
            raise TestPlanError(f"{where}: says no reason")
        yield {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }


# What is there


def cocotb_tests(root: Path = ROOT) -> set[str]:
    """Names of all cocotb tests below ``verif/cocotb/``."""
    return {
        f"{file.parent.name}.{function.name}"
        for file in sorted((root / "verif" / "cocotb").glob("*/test_*.py"))
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
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
        name = path.relative_to(root).as_posix()
        files[name] = PytestFile(name, frozenset(tests), bool(imported & CONTRACT))
    return files


def proof_names() -> list[str]:
    """Names of all proofs."""
    from verif.formal.catalog import PROOFS

    return [proof.name for proof in PROOFS]


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Names that a pattern of the plan means."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


# The check


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


# Results


class Outcome(StrEnum):
    """What became of a test, a proof, a group of bins or a testpoint."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Assessment:
    """A testpoint, and what became of each thing that shows it."""

    testpoint: Testpoint
    evidence: dict[str, Outcome] = field(default_factory=dict)
    """By name; pytest files and ids, proofs and groups of bins included where results of them were
    given."""

    @property
    def outcome(self) -> Outcome:
        """Failed where anything failed; passed where everything was run and passed."""
        outcomes = set(self.evidence.values())
        if Outcome.FAILED in outcomes:
            return Outcome.FAILED
        return Outcome.PASSED if outcomes == {Outcome.PASSED} else Outcome.NOT_RUN

    def to_json(self) -> dict:
        """The same for programs."""
        return {
            "name": self.testpoint.name,
            "stage": self.testpoint.stage,
            "promise": self.testpoint.promise,
            "outcome": self.outcome.value,
            "evidence": {name: outcome.value for name, outcome in self.evidence.items()},
        }


def assess(
    plan: TestPlan,
    *,
    tests: Mapping[str, Outcome] | None = None,
    pytest: Mapping[str, Outcome] | None = None,
    proofs: Mapping[str, Outcome] | None = None,
    bins: Mapping[str, Outcome] | None = None,
) -> list[Assessment]:
    """Join results to testpoints. A kind of which no results are given is left out; of one that
    is, a name without a result was not run.

    Parameters
    ----------
    tests
        Of cocotb tests, by name.
    pytest
        Of pytest tests, by file and ``file::test``.
    proofs, bins
        By name.
    """
    assessments = []
    for point in plan.testpoints:
        evidence = {}
        for results, names in (
            (tests, point.tests),
            (pytest, point.pytest),
            (proofs, [n for pattern in point.proofs for n in matching(pattern, proofs or ())]),
            (bins, point.bins),
        ):
            if results is not None:
                evidence |= {name: results.get(name, Outcome.NOT_RUN) for name in names}
        assessments.append(Assessment(point, evidence))
    return assessments
