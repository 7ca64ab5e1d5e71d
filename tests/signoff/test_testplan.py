"""The test plan: what it must notice, and how results are joined to it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.verif.signoff.plan import planned, testplan
from adq.verif.signoff.plan.markers import Marker, PytestFile
from adq.verif.signoff.plan.planned import check
from adq.verif.signoff.plan.testplan import Outcome, TestPlan, TestPlanError, Testpoint, assess
from adq.verif.simulation.functional_coverage import GROUPS

pytestmark = pytest.mark.testpoint("testplan.complete")

PROOFS = ["fuser.2_bits", "fuser.4_bits"]

SUMS = Marker(("sums",))


def plan(**changes) -> TestPlan:
    """A plan of one testpoint whose tests, proofs and bins suit each other, but for changes."""
    point = {
        "name": "sums",
        "stage": "tile",
        "promise": "It adds.",
        "tests": ("tile.adds", "fuser.fuses"),
        "pytest": ("tests/test_a.py",),
        "proofs": ("fuser.*",),
        "bins": tuple(GROUPS),
    }
    given = {
        "cocotb_tests": {"tile.adds": SUMS, "fuser.fuses": SUMS},
        "pytest_files": {
            "tests/test_a.py": PytestFile(frozenset({"test_x", "test_y"}), True, SUMS),
            "tests/test_b.py": PytestFile(frozenset({"test_z"}), False),
        },
    }
    of_point = {name: value for name, value in changes.items() if name in point}
    of_plan = {name: value for name, value in changes.items() if name not in point}
    return TestPlan(testpoints=(Testpoint(**point | of_point),), **given | of_plan)


def test_the_plan_of_this_repository_is_complete():
    check(testplan.read_plan())


def test_a_plan_that_suits():
    check(plan(), PROOFS)
    check(plan(cocotb_tests={"speed.plays": Marker(reason="It measures.")}), PROOFS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cocotb_tests": {"tile.adds": None}}, "tile.adds names no testpoint"),
        ({"cocotb_tests": {"tile.adds": Marker(reason=" ")}}, "tile.adds names no testpoint"),
        ({"cocotb_tests": {"tile.adds": Marker(("a",))}}, "tile.adds: there is no testpoint a"),
        (
            {
                "pytest_files": {
                    "tests/a.py": PytestFile(frozenset({"x", "y"}), True, None, {"x": SUMS})
                }
            },
            "tests/a.py::y names no testpoint",
        ),
        (
            {"pytest_files": {"tests/a.py": PytestFile(frozenset("x"), False, Marker(("b",)))}},
            "tests/a.py: there is no testpoint b",
        ),
        ({"proofs": ("fuser.2_bits",)}, "proof fuser.4_bits has no testpoint"),
        ({"proofs": ("fuser.*", "tile.*")}, "there is no proof tile."),
        ({"bins": ("precision",)}, "group of bins density has no testpoint"),
        ({"bins": (*GROUPS, "colour")}, "there is no group of bins colour"),
        ({"tests": (), "pytest": (), "proofs": ()}, "nothing shows it"),
    ],
)
def test_what_does_not_suit_is_named(changes, message):
    with pytest.raises(TestPlanError, match=message):
        check(plan(**changes), PROOFS)


def test_every_problem_has_a_line():
    with pytest.raises(TestPlanError) as caught:
        check(plan(cocotb_tests={"a.b": None}, proofs=()), PROOFS)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[testpoints]]\n", "unknown table 'testpoints'"),
        ("[[testpoint]]\nname='a'\nstage='b'\n", "lacks a key"),
        ("[[testpoint]]\nname='a'\ntest=['b']\n", r"\[\[testpoint\]\] a: unknown key 'test'"),
        ("[[exclusion]]\nkind='line'\nreason=' '\n", "says no reason"),
        ("[[exclusion", "not valid TOML"),
        ("[goals]\nlines = 100\n", r"\[goals\] lines: known are line, branch"),
        ("[goals]\nline = 101\n", r"\[goals\] line: known are"),
    ],
)
def test_plans_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(TestPlanError, match=message):
        testplan.read_plan(path)


def test_markers_are_read_without_running_tests(tmp_path):
    folder = tmp_path / "verif" / "cocotb" / "adder"
    folder.mkdir(parents=True)
    (folder / "test_adder.py").write_text(
        "import nothing_that_exists\n"
        "@shows('a.b', 'c', exhaustive=True)\n@cocotb.test()\nasync def sums(dut): ...\n"
        "@cocotb.test(skip=X)\n@cocotb.parametrize(a=[1])\nasync def carries(dut, a): ...\n"
        "async def helper(dut): ...\n"
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        "import pytest\npytestmark = [pytest.mark.slow, pytest.mark.testpoint(reason='no')]\n"
        "@pytest.mark.testpoint('c')\ndef test_a():\n    from adq.rtl.tile import Tile\n"
        "def helper(): ...\n"
    )
    (tmp_path / "tests" / "test_other.py").write_text("import json\ndef test_b(): ...\n")
    path = tmp_path / "plan.toml"
    path.write_text("[[testpoint]]\nname = 'c'\nstage = 's'\npromise = 'p'\n")
    found = testplan.read_plan(path, root=tmp_path)
    sums = Marker(("a.b", "c"), exhaustive=True)
    assert found.cocotb_tests == {"adder.sums": sums, "adder.carries": None}
    assert found.exhaustive == ["adder.sums"]
    assert found.pytest_files == {
        "tests/test_it.py": PytestFile(
            frozenset({"test_a"}), True, Marker(reason="no"), {"test_a": Marker(("c",))}
        ),
        "tests/test_other.py": PytestFile(frozenset({"test_b"}), False),
    }
    [point] = found.testpoints
    assert (point.tests, point.pytest) == (("adder.sums",), ("tests/test_it.py::test_a",))


def test_a_testpoint_fails_with_any_of_its_tests_and_passes_with_all():
    point = plan(bins=(), pytest=(), proofs=())
    passed, failed = Outcome.PASSED, Outcome.FAILED

    def outcome(**results):
        [assessment] = assess(point, tests=results)
        return assessment.outcome

    assert outcome(**{"tile.adds": passed, "fuser.fuses": passed}) is passed
    assert outcome(**{"tile.adds": passed, "fuser.fuses": failed}) is failed
    assert outcome(**{"tile.adds": passed}) is Outcome.NOT_RUN
    assert outcome() is Outcome.NOT_RUN


def results_in(folder: Path, outcome: str) -> None:
    """Files of results such as commands leave them, one test of one outcome among them."""
    plan = testplan.read_plan()
    (folder / "regression").mkdir()
    tests = [
        {"test": name, "outcome": "passed"} for name in plan.cocotb_tests.keys() - {"tile.extremes"}
    ]
    tests.append({"test": "tile.extremes", "outcome": outcome})
    (folder / "regression" / "regression.json").write_text(json.dumps({"tests": tests}))
    (folder / "formal").mkdir()
    proofs = [{"name": name, "result": "proved"} for name in planned.proof_names()]
    (folder / "formal" / "formal.json").write_text(json.dumps({"proofs": proofs}))
    (folder / "coverage").mkdir()
    groups = [{"name": name, "missing": []} for name in GROUPS]
    (folder / "coverage" / "coverage.json").write_text(json.dumps({"functional": groups}))
    cases = "".join(
        f'<testcase classname="{name.removesuffix(".py").replace("/", ".")}" name="{test}[1-2]"/>'
        for name, file in plan.pytest_files.items()
        for test in file.tests
    )
    (folder / "pytest.xml").write_text(f"<testsuites>{cases}</testsuites>")


@pytest.mark.parametrize(
    ("outcome", "status", "points"),
    [("passed", 0, []), ("failed", 1, ["shift_add.widths", "tile.products"])],
)
def test_the_command_joins_results(tmp_path, outcome, status, points):
    results_in(tmp_path, outcome)
    out = tmp_path / "testplan.json"
    result = CliRunner().invoke(
        main,
        ["dev", "testplan", "--results", str(tmp_path), "--out", str(out)],
        env={"COLUMNS": "200"},
    )
    assert result.exit_code == status, result.output
    written = json.loads(out.read_text())["testpoints"]
    assert [point["name"] for point in written if point["outcome"] == "failed"] == points
    assert {point["outcome"] for point in written} <= {"passed", "failed"}


def test_results_of_another_version_are_a_mistake(tmp_path):
    (tmp_path / "formal").mkdir()
    (tmp_path / "formal" / "formal.json").write_text("{}")
    result = CliRunner().invoke(main, ["dev", "testplan", "--results", str(tmp_path)])
    assert result.exit_code == 2
    assert "formal.json: no file of results that this version wrote" in result.stderr
