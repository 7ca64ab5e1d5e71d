"""Test plan: the promises of the contracts, and the tests, proofs and bins that show each of them.

Testpoints stand in ``testplan.toml`` beside this file. Tests name theirs in markers beside them
(:mod:`adq.verif.signoff.plan.markers`), and :mod:`adq.verif.signoff.plan.planned` holds both to
each other.
"""

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from adq.verif.signoff.plan.markers import Marker, PytestFile, cocotb_tests, pytest_files
from adq.verif.sources import CHECKOUT

__all__ = [
    "ROOT",
    "Assessment",
    "Exclusion",
    "Networks",
    "Outcome",
    "TestPlan",
    "TestPlanError",
    "Testpoint",
    "assess",
    "matching",
    "read_plan",
]

ROOT = CHECKOUT

GOALS = (
    *("line", "branch", "toggle", "bins"),
    *("platform-line", "platform-branch", "platform-toggle"),
)

TABLES = {
    "testpoint": {"name", "stage", "promise", "proofs", "bins"},
    "exclusion": {"kind", "instance", "points", "reason"},
    "networks": {"artifact", "bins"},
}
"""Tables of the plan, and the keys that each may have."""


class TestPlanError(ValueError):
    """The plan cannot be read, or does not match what exists. The message has one line per
    problem.
    """

    __test__ = False


@dataclass(frozen=True, kw_only=True)
class Testpoint:
    """A promise, and the names of the tests, proofs and bins that show it."""

    __test__ = False

    name: str
    stage: str
    """Stage of the chain from training to the tile's results."""
    promise: str
    tests: tuple[str, ...] = ()
    """cocotb tests marked with it: the folder of ``verif/cocotb/``, a dot, and the function."""
    pytest: tuple[str, ...] = ()
    """Files below the root that are marked with it, or ``file::test``."""
    proofs: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    """Groups of :mod:`adq.verif.simulation.functional_coverage`."""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Points of structural coverage that no test needs to reach, with the reason."""

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
    """Bins that the vectors of a shipped network must reach."""

    artifact: str
    bins: tuple[str, ...]
    """Regular expressions, each of which must match a bin that is reached."""

    def missing(self, reached: Iterable[str]) -> list[str]:
        """Return the expressions that match no bin reached."""
        names = list(reached)
        return [one for one in self.bins if not any(re.fullmatch(one, name) for name in names)]


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """The whole test plan."""

    __test__ = False

    testpoints: tuple[Testpoint, ...]
    goals: Mapping[str, float] = field(default_factory=dict)
    """Percent of what is not excluded, of ``line``, ``branch``, ``toggle`` and ``bins``."""
    exclusions: tuple[Exclusion, ...] = ()
    networks: tuple[Networks, ...] = ()
    cocotb_tests: Mapping[str, Marker | None] = field(default_factory=dict)
    pytest_files: Mapping[str, PytestFile] = field(default_factory=dict)

    @property
    def exhaustive(self) -> list[str]:
        """Cocotb tests without random choices, or that try every value."""
        return [name for name, marker in self.cocotb_tests.items() if marker and marker.exhaustive]

    def points_of(self, test: str) -> list[str]:
        """Return the names of the testpoints that a cocotb test belongs to."""
        return [point.name for point in self.testpoints if test in point.tests]


def read_plan(path: Path | None = None, *, root: Path = ROOT) -> TestPlan:
    """Read a plan, and the markers of the tests below ``root``.

    Parameters
    ----------
    path
        ``verif/signoff/plan/testplan.toml`` where none is given.

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
        if name not in {*TABLES, "goals"}:
            known = ", ".join([*TABLES, "goals"])
            raise TestPlanError(f"{path}: unknown table {name!r}; known: {known}")
    tables = {name: list(_entries(path, document, name)) for name in TABLES}
    cocotb, files = cocotb_tests(root), pytest_files(root)
    markers = {name: file.marker for name, file in files.items()} | {
        f"{name}::{test}": marker
        for name, file in files.items()
        for test, marker in file.marked.items()
    }
    try:
        return TestPlan(
            testpoints=tuple(
                Testpoint(
                    **entry,
                    tests=_marked(cocotb, entry["name"]),
                    pytest=_marked(markers, entry["name"]),
                )
                for entry in tables["testpoint"]
            ),
            goals=_goals(path, document.get("goals", {})),
            exclusions=tuple(Exclusion(**entry) for entry in tables["exclusion"]),
            networks=tuple(Networks(**entry) for entry in tables["networks"]),
            cocotb_tests=cocotb,
            pytest_files=files,
        )
    except (TypeError, KeyError) as error:
        raise TestPlanError(f"{path}: an entry lacks a key: {error}") from None


def _marked(markers: Mapping[str, Marker | None], testpoint: str) -> tuple[str, ...]:
    """Return the names that are marked with a testpoint."""
    return tuple(name for name, one in markers.items() if one and testpoint in one.testpoints)


def _goals(path: Path, table: Mapping) -> dict[str, float]:
    """Return all coverage goals in percent, 100 by default."""
    goals = dict.fromkeys(GOALS, 100.0)
    for name, percent in table.items():
        if name not in goals or not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise TestPlanError(
                f"{path}: [goals] {name}: known are {', '.join(goals)}, from 0 to 100"
            )
        goals[name] = percent
    return goals


def _entries(path: Path, document: Mapping, table: str) -> Iterator[dict]:
    """Yield the entries of a table, with lists as tuples. Keys and reasons are checked."""
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


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that match a pattern of the plan."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


class Outcome(StrEnum):
    """Result of a test, a proof, a group of bins or a testpoint."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Assessment:
    """A testpoint, and the result of each item that shows it."""

    testpoint: Testpoint
    evidence: dict[str, Outcome] = field(default_factory=dict)
    """By name; pytest files and ids, proofs and groups of bins included where results of them were
    given."""

    @property
    def outcome(self) -> Outcome:
        """Failed if any item failed; passed if every item was run and passed."""
        outcomes = set(self.evidence.values())
        if Outcome.FAILED in outcomes:
            return Outcome.FAILED
        return Outcome.PASSED if outcomes == {Outcome.PASSED} else Outcome.NOT_RUN

    def to_json(self) -> dict:
        """Return the assessment as plain values for JSON."""
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
    """Assign results to testpoints. A kind without any results is left out; of other kinds, a name
    without a result counts as not run.

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
