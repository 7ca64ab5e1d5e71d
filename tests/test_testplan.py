"""The test plan: what it must notice, and how results are joined to it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.verif.signoff.plan import planned, testplan
from adq.verif.signoff.plan.planned import check
from adq.verif.signoff.plan.testplan import Outcome, TestPlan, TestPlanError, Testpoint, assess
from adq.verif.simulation.functional_coverage import GROUPS

TESTS = {"tile.adds", "fuser.fuses"}
FILES = {
    "tests/test_a.py": planned.PytestFile("tests/test_a.py", frozenset({"test_x", "test_y"}), True),
    "tests/test_b.py": planned.PytestFile("tests/test_b.py", frozenset({"test_z"}), False),
}
PROOFS = ["fuser.2_bits", "fuser.4_bits"]


def plan(**changes) -> TestPlan:
    """A plan that suits the names above, but for changes of its testpoint."""
    point = {
        "name": "sums",
        "stage": "tile",
        "promise": "It adds.",
        "tests": ("tile.adds", "fuser.fuses"),
        "pytest": ("tests/test_a.py",),
        "proofs": ("fuser.*",),
        "bins": tuple(GROUPS),
    }
    return TestPlan(testpoints=(Testpoint(**point | changes),))


def check_it(some: TestPlan):
    check(some, tests=TESTS, files=FILES, proofs=PROOFS)


def test_the_plan_of_this_repository_is_complete():
    check(testplan.read_plan())


def test_a_plan_that_suits():
    check_it(plan())
    check_it(plan(pytest=("tests/test_a.py::test_x", "tests/test_a.py::test_y")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tests": ("tile.adds",)}, "cocotb test fuser.fuses has no testpoint"),
        ({"tests": ("tile.adds", "fuser.fuses", "a.b")}, "there is no cocotb test a.b"),
        ({"pytest": ()}, "tests/test_a.py has no testpoint"),
        ({"pytest": ("tests/test_a.py::test_x",)}, "test_a.py::test_y has no testpoint"),
        ({"pytest": ("tests/test_a.py", "tests/test_c.py")}, "no pytest tests/test_c.py"),
        ({"pytest": ("tests/test_a.py", "tests/test_b.py::test_x")}, "no pytest tests/test_b.py"),
        ({"proofs": ("fuser.2_bits",)}, "proof fuser.4_bits has no testpoint"),
        ({"proofs": ("fuser.*", "tile.*")}, "there is no proof tile."),
        ({"bins": ("precision",)}, "group of bins density has no testpoint"),
        ({"bins": (*GROUPS, "colour")}, "there is no group of bins colour"),
        ({"tests": (), "pytest": (), "proofs": ()}, "nothing shows it"),
    ],
)
def test_what_does_not_suit_is_named(changes, message):
    with pytest.raises(TestPlanError, match=message):
        check_it(plan(**changes))


def test_every_problem_has_a_line():
    with pytest.raises(TestPlanError) as caught:
        check_it(plan(tests=("a.b",), proofs=()))
    assert len(str(caught.value).splitlines()) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[testpoints]]\n", "unknown table 'testpoints'"),
        ("[[testpoint]]\nname='a'\nstage='b'\n", "lacks a key"),
        ("[[testpoint]]\nname='a'\ntest=['b']\n", r"\[\[testpoint\]\] a: unknown key 'test'"),
        ("[[outside]]\nfiles=['tests/test_a.py']\n", "says no reason"),
        ("[[outside]]\nfiles=['a']\nreason=' '\n", "says no reason"),
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


def test_tests_are_found_without_running_them(tmp_path):
    folder = tmp_path / "verif" / "cocotb" / "adder"
    folder.mkdir(parents=True)
    (folder / "test_adder.py").write_text(
        "import nothing_that_exists\n"
        "@cocotb.test()\nasync def sums(dut): ...\n"
        "@cocotb.test(skip=X)\n@cocotb.parametrize(a=[1])\nasync def carries(dut, a): ...\n"
        "async def helper(dut): ...\n"
    )
    assert planned.cocotb_tests(tmp_path) == {"adder.sums", "adder.carries"}
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        "def test_a():\n    from adq.rtl.tile import Tile\n\ndef helper(): ...\n"
    )
    (tmp_path / "tests" / "test_other.py").write_text("import json\ndef test_b(): ...\n")
    files = planned.pytest_files(tmp_path)
    assert files["tests/test_it.py"].tests == {"test_a"}
    assert [files[f"tests/test_{n}.py"].of_contract for n in ("it", "other")] == [True, False]


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
    (folder / "regression").mkdir()
    tests = [
        {"test": name, "outcome": "passed"} for name in planned.cocotb_tests() - {"tile.extremes"}
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
        f'<testcase classname="tests.{Path(file.name).stem}" name="{test}[1-2]"/>'
        for file in planned.pytest_files().values()
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
