"""The tutorials, run as a reader runs them, and what they show held to what they print.

A page's ``sh`` and ``python`` blocks run in order in a copy of the checkout: commands by bash, all
Python of a page in one session. A ``text`` block is what the block before it prints.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.places import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
CHECKOUT = ("rtl", "golden", "verif", "sw", "configs")
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PERCENT = re.compile(r"\d+(?=%)")
POINTS = 3
"""Percentage points by which a share may differ: most come from a model that is fitted anew."""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of what a reader's checkout holds, with the command line on the path."""
    for folder in CHECKOUT:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=ignored)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return language and text of a page's blocks."""
    return BLOCK.findall((TUTORIALS / page).read_text(encoding="utf-8"))


def run_shell(commands: str) -> str:
    # pytest names its test in the environment, and cocotb's runner then raises where tests fail.
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def assert_shown(shown: str, printed: str) -> None:
    """Compare lines; percentages may differ by a few points."""
    assert PERCENT.sub("N", printed).split() == PERCENT.sub("N", shown).split(), printed
    for ours, theirs in zip(PERCENT.findall(printed), PERCENT.findall(shown), strict=True):
        assert abs(int(ours) - int(theirs)) <= POINTS, printed


def run_page(page: str) -> dict:
    """Run a page's blocks; the names that its Python leaves, and what was printed last."""
    names, printed = {}, ""
    for language, text in blocks_of(page):
        if language == "sh":
            printed = run_shell(text)
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(text, page, "exec"), names)
            printed = stream.getvalue()
        else:
            assert_shown(text, printed)
    return names | {"printed": printed}


def test_a_figure_that_is_not_printed_is_noticed():
    assert_shown("conv1 84% of 3\n", "conv1   85% of 3\n")
    with pytest.raises(AssertionError):
        assert_shown("conv1 84% of 3\n", "conv1 84% of 4\n")
    with pytest.raises(AssertionError):
        assert_shown("conv1 84% of 3\n", "conv1 74% of 3\n")


def test_student(checkout):
    names = run_page("student.md")
    # 16 columns a weight, 4 outputs at a time: 4 jobs of 64 vectors of at most 16 planes.
    (first, *others) = names["uses"]
    assert first.jobs == 4
    assert first.cycles > 10 * max(use.cycles for use in others)
    # 8 columns a weight, 8 outputs at a time: 2 jobs of 64 vectors of at most 5 planes.
    assert names["fewer"][0].jobs == 2
    assert names["fewer"][0].cycles < first.cycles / 2 * 5 / 16


@pytest.mark.slow
def test_own_network(checkout):
    names = run_page("own-network.md")
    bits = names["prepared"].bits
    assert bits["first"] == bits["classifier"] == 8
    assert bits["second"] < 16
    assert bits["third"] < 16
    assert names["accuracy"] > 0.9
    agreed = names["written"].samples.classes == names["found"][:50].numpy()
    assert agreed.mean() >= 0.98
    (run,) = names["simulation"]["runs"]
    assert run["accumulators"] > 0
    assert run["images"] == 2


@pytest.mark.slow
def test_hardware(checkout):
    names = run_page("hardware.md")
    assert names["run"]["agrees"]
    assert names["changed"]["mismatches"] == 0
    # Accumulators hold what they held: only what stands before them moved for nothing.
    assert names["after"]["accumulators"] == names["before"]["accumulators"]
    assert "FAIL tile.extremes/weight_bits=4/signed=True" in names["printed"]
    assert "exit status 1\n" in names["printed"]
    (run,) = (checkout / "build" / "tutorial" / "replay").iterdir()
    assert {"dump.fst", "waves.sucl", "waves.gtkw"} <= {path.name for path in run.iterdir()}
    failed = ElementTree.parse(run / "results.xml").findall(".//failure")
    assert len(failed) == 1
