"""Mutants in Python: what mutmut says, and what is made of it."""

import json
import sys

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.signoff import python_mutants

PYTHON = sys.executable

FAKE = """#!{python}
import sys
from pathlib import Path
if sys.argv[1] == "run":
    assert Path("src/adq/quantization/integers.py").exists()
    assert Path("src/adq/golden/mapping/mapper.py").exists()
    assert "only_mutate" in Path("pyproject.toml").read_text()
    print("ran", *sys.argv[2:])
    with open("calls", "a") as calls:
        print(*sys.argv[4:], file=calls)
    sys.exit({status})
print("    adq.golden.requantize.x_round__mutmut_1: killed")
print("    adq.golden.requantize.xǁRequantizeǁapply__mutmut_2: survived")
print("    adq.golden.mapping.mapper.x_plan__mutmut_1: timeout")
print("    adq.golden.mapping.mapper.x_plan__mutmut_2: killed")
print("    adq.quantization.integers.x_scale__mutmut_7: no tests")
print("    adq.quantization.integers.x_scale__mutmut_8: not checked")
print("a line that is none of these: killed")
"""


@pytest.fixture
def mutmut(monkeypatch, tmp_path):
    """Stands in for mutmut, beside an interpreter of its own."""

    def install(status=0):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "mutmut"
        program.write_text(FAKE.format(python=PYTHON, status=status))
        program.chmod(0o755)
        (folder / "python").symlink_to(PYTHON)

    monkeypatch.setattr(python_mutants.sys, "executable", str(tmp_path / "bin" / "python"))
    return install


def adq(tmp_path, *arguments):
    return CliRunner().invoke(
        main, ["dev", "mutate-python", "--out", str(tmp_path / "out"), *arguments]
    )


def test_fates_are_counted_by_module(mutmut, tmp_path):
    mutmut()
    told = adq(tmp_path)
    assert told.exit_code == 1, told.output
    found = json.loads((tmp_path / "out" / "mutation-python.json").read_text())
    # What was not checked this time does not count.
    assert (found["killed"], found["mutants"], found["score"]) == (3, 5, 0.6)
    assert [(m["module"], m["killed"], m["mutants"]) for m in found["modules"]] == [
        ("adq.golden.requantize", 1, 2),
        ("adq.golden.mapping.mapper", 2, 2),
        ("adq.quantization.integers", 0, 1),
    ]
    assert [mutant["fate"] for mutant in found["alive"]] == ["survived", "no tests"]
    assert "3 of 5 mutants killed" in told.output


def test_what_lived_is_tried_again_where_a_test_is_new(mutmut, tmp_path):
    mutmut()
    work = tmp_path / "out" / "work"

    def calls():
        adq(tmp_path)
        lines = (work / "calls").read_text().splitlines()
        (work / "calls").unlink()
        return lines

    alive = (
        "adq.golden.requantize.xǁRequantizeǁapply__mutmut_2 "
        "adq.quantization.integers.x_scale__mutmut_7"
    )
    assert calls() == ["", alive]  # the fake one has results before it is run
    assert calls() == [""]
    memory = json.loads((work / "tests.json").read_text())
    (work / "tests.json").write_text(json.dumps(memory | {"tests": "others"}))
    assert calls() == ["", alive]
    # Broken off behind the first of the two, it goes on with the second.
    (work / "tests.json").write_text(
        json.dumps(memory | {"again": ["adq.golden.mapping.mapper.x_plan"]})
    )
    assert calls() == ["", "adq.golden.mapping.mapper.x_plan"]
    assert calls() == [""]


def test_mutmut_is_asked_for_and_its_failure_said(mutmut, tmp_path):
    told = adq(tmp_path)
    assert told.exit_code == 2
    assert "mutmut is not installed" in told.stderr
    mutmut(status=3)
    told = adq(tmp_path, "adq.golden.mapping.mapper")
    assert told.exit_code == 2
    assert "mutmut broke off" in told.stderr


def test_what_is_mutated_is_there():
    for module, place in python_mutants.MODULES.items():
        path = place.replace("src/adq", "sw/adq")
        assert (python_mutants.ROOT / path).exists(), module
    for name in python_mutants.TESTS:
        assert (python_mutants.ROOT / "tests" / f"{name}.py").exists(), name
