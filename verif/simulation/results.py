"""Results of cocotb tests, and the coverage bins that they reached."""

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["COUNTS", "LAYERS", "TestResult", "read_bins", "read_results"]

LAYERS = Path("layers")
"""Folder of the layers' own files, below that of a simulation: a layer can have any name, that of
another file too."""

COUNTS = "nets.counts"
"""File of the counts of every net, of the reset or of a layer."""


@dataclass(frozen=True)
class TestResult:
    """Result of a test, named after its folder in ``verif/cocotb/``. ``message`` is empty if the
    test passed.
    """

    name: str
    message: str
    seconds: float = 0.0

    @property
    def test(self) -> str:
        """Name without the test's parameters, as in the test plan."""
        return self.name.partition("/")[0]

    @property
    def passed(self) -> bool:
        """Return whether it passed."""
        return not self.message


def read_results(path: Path) -> list[TestResult]:
    """Read the results of the JUnit file that cocotb writes, without skipped tests."""
    results = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            continue
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        message = ""
        if failure is not None:
            text = failure.get("message") or failure.get("error_msg") or failure.text or ""
            message = text.strip().splitlines()[0] if text.strip() else "failed"
        folder = case.get("classname", "").rpartition(".")[2].removeprefix("test_")
        name = f"{folder}.{case.get('name', '?')}"
        results.append(TestResult(name, message, float(case.get("time", 0))))
    return results


def read_bins(directory: Path) -> dict[str, int]:
    """Return the hits of the functional coverage bins that a simulation left in its directory."""
    path = directory / "functional.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
