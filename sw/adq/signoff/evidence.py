"""Results of regressions, proofs, tests and coverage, joined to the test plan."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from rich.table import Table

from adq.console import Console
from adq.golden.files.json_reader import MAXIMUM_BYTES, parse
from adq.golden.files.reading import read_file
from adq.verif.signoff.plan.testplan import Assessment, Outcome, TestPlan, TestPlanError, assess

__all__ = ["Evidence", "print_testpoints", "read_evidence", "worst"]

SOURCES = {
    "regression": Path("regression/regression.json"),
    "nightly": Path("nightly/nightly.json"),
    "proofs": Path("formal/formal.json"),
    "coverage": Path("coverage/coverage.json"),
    "pytest": Path("pytest.xml"),
    "slow pytest": Path("pytest-slow.xml"),
}
"""Files of results, below the folder of builds."""

STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.NOT_RUN: "yellow"}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome: failed if any has; passed if one has and none failed."""
    seen = set(outcomes)
    if Outcome.FAILED in seen:
        return Outcome.FAILED
    return Outcome.PASSED if Outcome.PASSED in seen else Outcome.NOT_RUN


def by_name(results: Iterable[tuple[str, Outcome]]) -> dict[str, Outcome]:
    """Return the outcomes of what was run several times."""
    outcomes: dict[str, list[Outcome]] = {}
    for name, outcome in results:
        outcomes.setdefault(name, []).append(outcome)
    return {name: worst(several) for name, several in outcomes.items()}


@dataclass
class Evidence:
    """Outcomes by kind, and the files that they came from."""

    kinds: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def assess(self, plan: TestPlan) -> list[Assessment]:
        """Join it to a plan; kinds without a file of results count as not run."""
        return assess(
            plan,
            **{kind: self.kinds.get(kind, {}) for kind in ("tests", "pytest", "proofs", "bins")},
        )


def read_evidence(folder: Path) -> Evidence:
    """Read what is there below a folder of builds.

    Raises
    ------
    adq.verif.signoff.plan.testplan.TestPlanError
        If a file of results cannot be read.
    """
    evidence = Evidence()
    tests: list[tuple[str, Outcome]] = []
    pytest: list[tuple[str, Outcome]] = []
    for source, name in SOURCES.items():
        path = folder / name
        if not path.exists():
            continue
        evidence.files[source] = str(path)
        try:
            if path.suffix == ".xml":
                pytest += _pytest_outcomes(path)
                continue
            document = parse(read_file(path, MAXIMUM_BYTES))
            if source == "proofs":
                evidence.kinds["proofs"] = {
                    proof["name"]: Outcome.NOT_RUN
                    if proof["result"] == "undecided"
                    else _passed(proof["result"] in ("proved", "holds"))
                    for proof in document["proofs"]
                }
            elif source == "coverage":
                evidence.kinds["bins"] = {
                    group["name"]: _passed(not group["missing"]) for group in document["functional"]
                }
            else:
                tests += [(test["test"], Outcome(test["outcome"])) for test in document["tests"]]
        except (ValueError, KeyError, TypeError, ElementTree.ParseError) as error:
            raise TestPlanError(
                f"{path}: no file of results that this version wrote ({error}): make it again"
            ) from None
    if tests:
        evidence.kinds["tests"] = by_name(tests)
    if pytest:
        evidence.kinds["pytest"] = by_name(pytest)
    return evidence


def _passed(good: bool) -> Outcome:
    return Outcome.PASSED if good else Outcome.FAILED


def _pytest_outcomes(path: Path) -> list[tuple[str, Outcome]]:
    """Return outcomes of a JUnit file, by file and by ``file::test``, parameters of a test
    together.
    """
    results = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        outcome = Outcome.PASSED
        if case.find("failure") is not None or case.find("error") is not None:
            outcome = Outcome.FAILED
        elif case.find("skipped") is not None:
            outcome = Outcome.NOT_RUN
        file = case.get("classname", "").replace(".", "/") + ".py"
        test = case.get("name", "").partition("[")[0]
        results += [(file, outcome), (f"{file}::{test}", outcome)]
    return results


def print_testpoints(assessments: list[Assessment], console: Console) -> None:
    """Print a table of testpoints, with what of each was not shown."""
    table = Table(title="Test plan")
    table.add_column("testpoint", no_wrap=True)
    table.add_column("stage", overflow="fold")
    table.add_column("shown by", justify="right")
    table.add_column("outcome", no_wrap=True)
    table.add_column("not shown", overflow="fold")
    for assessment in assessments:
        outcomes = assessment.evidence
        passed = sum(outcome is Outcome.PASSED for outcome in outcomes.values())
        missing = [name for name, outcome in outcomes.items() if outcome is not Outcome.PASSED]
        table.add_row(
            assessment.testpoint.name,
            assessment.testpoint.stage,
            f"{passed} of {len(outcomes)}",
            assessment.outcome.value,
            ", ".join(missing),
            style=None if assessment.outcome is Outcome.PASSED else STYLES[assessment.outcome],
        )
    console.print(table)
