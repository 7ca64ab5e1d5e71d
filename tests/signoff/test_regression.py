"""Regressions: what they leave behind, however they end, and how they go on."""

import dataclasses
import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from adq.rtl.parameters import TileParameters
from adq.signoff.regressions import network_tests, seconds_of
from adq.verif.parallel.pool_choice import pool_of
from adq.verif.processes import Processes, StoppedError
from adq.verif.signoff.plan.testplan import Outcome, read_plan
from adq.verif.signoff.regression.execution import execute
from adq.verif.signoff.regression.models import Models
from adq.verif.signoff.regression.regression import Regression, run_all
from adq.verif.signoff.regression.run_lists import (
    EDGE_TILES,
    SMALL_TILE,
    long_runs,
    nightly_runs,
    only_some,
    seeds_of,
    short_runs,
)
from adq.verif.signoff.regression.runs import Bench, Record, Run, State
from adq.verif.signoff.replay.cases import Case, Refused, write_cases
from adq.verif.signoff.replay.reducing import run_cases
from adq.verif.simulation import functional_coverage
from adq.verif.simulation.simulator import Build, SimulationError
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("regressions.end")


TILE = TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0, vectors=3)

RESULTS = """<testsuites><testsuite tests="1" failures="{failures}" errors="0">
<testcase classname="adq.verif.cocotb.tile.test_tile" name="extremes/signed=True" time="0.5">
{failure}</testcase></testsuite></testsuites>"""


class FakeModel:
    """Instead of a simulation, what a function does."""

    def __init__(self, act):
        self.act = act
        self.directory = Path("model")
        self.top = "tile"
        self.calls = []

    def run(self, module, *, directory, seed, **options):
        directory.mkdir(parents=True, exist_ok=True)
        self.calls.append(seed)
        failure = self.act(seed)
        text = f'<failure message="{failure}"/>' if failure else ""
        (directory / "results.xml").write_text(
            RESULTS.format(failures=int(bool(failure)), failure=text)
        )


class FakeModels:
    """Models of which all are one."""

    def __init__(self, act=lambda seed: ""):
        self.processes = Processes()
        self.model = FakeModel(act)
        self.print = "1"
        self.cache = MODELS
        self.coverage = False

    def get(self, run):
        return self.model

    def fingerprint(self, model):
        return self.print


def some_runs(count: int) -> list[Run]:
    return [Run(bench=Bench.TILE, tile=TILE, seed=seed) for seed in range(1, count + 1)]


def run_them(models, out, count=4, **options):
    with pool_of(workers=1, processes=models.processes) as pool:
        return run_all(some_runs(count), models, out, pool=pool, **options)


def test_every_run_has_a_directory_and_a_record(tmp_path):
    result = run_them(FakeModels(), tmp_path)
    assert [record.state for record in result.records] == [State.PASSED] * 4
    document = json.loads((tmp_path / "tile-1x16-1x0-3-seed3" / "run.json").read_text())
    assert document["seed"] == 3
    assert document["state"] == "passed"
    assert document["tile"] == dataclasses.asdict(TILE)
    assert document["replay"] == "make replay RUN=tile-1x16-1x0-3-seed3"
    [test] = document["tests"]
    assert test["test"] == "tile.extremes"
    assert test["seconds"] == 0.5
    assert test["replay"].endswith("TEST='tile.extremes/signed=True'")


def test_what_has_finished_is_not_repeated(tmp_path):
    models = FakeModels(lambda seed: "wrong" if seed == 2 else "")
    first = run_them(models, tmp_path, again=False)
    again = run_them(models, tmp_path, again=False)
    assert models.model.calls == [1, 2, 3, 4]
    assert [r.state for r in again.records] == [r.state for r in first.records]
    assert again.tests() == first.tests()
    models.print = "another design"
    run_them(models, tmp_path, again=False)
    assert models.model.calls == [1, 2, 3, 4] * 2


def test_nothing_is_begun_behind_a_failure_where_that_is_asked_for(tmp_path):
    models = FakeModels(lambda seed: "wrong" if seed == 2 else "")
    result = run_them(models, tmp_path, ends=lambda record: record.state is State.FAILED)
    assert models.model.calls == [1, 2]
    assert [run.seed for run in result.not_run] == [3, 4]


def test_a_simulator_that_breaks_off_is_recorded_and_tried_again(tmp_path):
    def act(seed):
        if seed == 2 and crashes:
            raise SimulationError("ended by signal 11, Segmentation fault; see sim.log")
        return ""

    crashes = True
    models = FakeModels(act)
    result = run_them(models, tmp_path, again=False)
    assert [record.state for record in result.records].count(State.BROKEN) == 1
    document = json.loads((tmp_path / "tile-1x16-1x0-3-seed2" / "run.json").read_text())
    assert document["state"] == "broken"
    assert "signal 11" in document["reason"]
    crashes = False
    result = run_them(models, tmp_path, again=False)
    assert {record.state for record in result.records} == {State.PASSED}
    assert models.model.calls == [1, 2, 3, 4, 2]


@pytest.mark.parametrize("cut", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupt_and_a_full_disk_leave_what_has_finished(tmp_path, monkeypatch, cut):
    def act(seed):
        if seed == 3:
            raise cut
        return ""

    models = FakeModels(act)
    with pytest.raises(type(cut)):
        run_them(models, tmp_path, again=False)
    states = {
        seed: json.loads(path.read_text())["state"]
        for seed in (1, 2, 3, 4)
        if (path := tmp_path / f"tile-1x16-1x0-3-seed{seed}" / "run.json").exists()
    }
    assert states == {1: "passed", 2: "passed", 3: "running"}
    models = FakeModels()
    run_them(models, tmp_path, again=False)
    assert models.model.calls == [3, 4]


def test_a_record_is_whole_or_the_old_one(tmp_path, monkeypatch):
    [run] = some_runs(1)
    models = FakeModels()
    execute(run, models, tmp_path / run.id)

    def full(path, *args, **options):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        Record(run, tmp_path / run.id, "1", State.FAILED).write()
    assert json.loads((tmp_path / run.id / "run.json").read_text())["state"] == "passed"


def test_a_budget_is_kept_and_what_is_left_is_said_and_resumed(tmp_path):
    models = FakeModels(lambda seed: time.sleep(0.2) or "")
    started = time.monotonic()
    result = run_them(models, tmp_path, 50, again=False, deadline=started + 1)
    assert time.monotonic() - started < 2
    done = len(result.records)
    assert 1 <= done < 50
    assert len(result.not_run) == 50 - done
    result = run_them(models, tmp_path, done + 2, again=False)
    assert models.model.calls == list(range(1, done + 3))
    assert not result.not_run


def test_what_has_not_ended_in_time_is_cut_off(tmp_path):
    models = FakeModels()

    def act(seed):
        models.processes.run(["sleep", "60"])
        return ""

    models.model.act = act
    started = time.monotonic()
    result = run_them(models, tmp_path, 2, deadline=started + 0.5)
    assert time.monotonic() - started < 10
    assert not result.records
    assert len(result.not_run) == 2


def program(tmp_path, text: str) -> Build:
    """A model whose simulator is a script."""
    path = tmp_path / "tile"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Build(tmp_path, "tile")


def test_a_simulator_that_crashes_says_so(tmp_path):
    model = program(tmp_path, "kill -SEGV $$")
    with pytest.raises(SimulationError, match=r"ended by signal 11, .*; see .*sim\.log"):
        model.run("adq.verif.cocotb.tile.test_tile", directory=tmp_path / "run")


def test_a_simulator_that_hangs_is_ended(tmp_path):
    model = program(tmp_path, "sleep 60")
    started = time.monotonic()
    with pytest.raises(SimulationError, match="was ended after 1 s; see "):
        model.run("adq.verif.cocotb.tile.test_tile", directory=tmp_path / "run", timeout=1)
    assert time.monotonic() - started < 20


def test_results_that_are_cut_short_are_no_results(tmp_path):
    model = program(tmp_path, f"echo '<testsuites><testsu' > {tmp_path}/run/results.xml")
    with pytest.raises(SimulationError, match="broke off"):
        model.run("adq.verif.cocotb.tile.test_tile", directory=tmp_path / "run")


def test_all_programs_are_ended_together():
    processes = Processes()
    timer = threading.Timer(0.3, processes.stop)
    timer.start()
    with pytest.raises(StoppedError):
        processes.run(["sleep", "60"])
    with pytest.raises(StoppedError):
        processes.run(["true"])


def test_a_testpoint_whose_tests_did_not_all_pass_has_not_passed(tmp_path):
    plan = read_plan()

    def outcomes(message):
        models = FakeModels(lambda seed: message)
        result = run_them(models, tmp_path / (message or "good"), 1)
        return {a.testpoint.name: a for a in result.assess(plan)}

    assert outcomes("wrong")["shift_add.widths"].outcome is Outcome.FAILED
    passed = outcomes("")["shift_add.widths"]
    assert passed.evidence["tile.extremes"] is Outcome.PASSED
    assert passed.outcome is Outcome.NOT_RUN  # tile.every_bit_set was not run
    assert "fuser.extremes" not in passed.evidence  # no run has the folder
    assert Regression().assess(plan)[0].evidence == {}


def test_nightly_runs_every_random_test_from_every_seed():
    plan = read_plan()
    nightly = nightly_runs(100, plan.exhaustive)
    assert len({run.id for run in nightly}) == len(nightly)
    for bench in Bench:
        small = [run for run in nightly if run.tile == SMALL_TILE and run.bench is bench]
        assert [run.seed for run in small] == list(range(1, 101))
        assert not small[0].leave_out
        assert set(small[1].leave_out) == {
            name for name in plan.exhaustive if name.partition(".")[0] in bench.folders
        }
    assert len({run.tile for run in nightly}) >= 4
    ports = {run.tile for run in nightly if run.bench is Bench.TILE and run.seed == 1}
    assert {1, 1024} <= {tile.rows for tile in ports}
    assert {16, 1024} <= {tile.columns for tile in ports}
    assert 1 in {tile.vectors for tile in ports if tile.rows == 1024}
    tests = [{"test": "a", "seed": 1}, {"test": "a", "seed": 1}, {"test": "a", "seed": 2}]
    assert seeds_of(tests) == {"a": 2}


def test_a_regression_of_some_tests_leaves_out_all_others():
    tests = ("fuser.a", "fuser.b", "counters.c", "tile.d", "tile.e", "walker.f", "host.g")
    runs = short_runs(SMALL_TILE, 3)
    some = only_some(runs, ["fuser.b", "tile"], tests)
    assert {(run.bench, run.leave_out) for run in some} == {
        (Bench.BLOCKS, ("fuser.a", "counters.c")),
        (Bench.TILE, ()),
    }
    assert {run.seed for run in some} == {3}
    unknown = {
        "fusr": "did you mean fuser?",
        "fuser.c": "did you mean fuser",
        "host.g": "blocks are accumulator, ",  # a test, but of no bench of these runs
    }
    for name, hint in unknown.items():
        with pytest.raises(SimulationError, match=f"{name} is no block and no test.*{hint}"):
            only_some(runs, [name], tests)


def test_every_two_values_of_two_parameters_meet_in_an_edge_tile():
    names = [field.name for field in dataclasses.fields(TileParameters)]
    values = {name: {getattr(tile, name) for tile in EDGE_TILES} for name in names}
    assert min(values["rows"]) == min(values["vectors"]) == min(values["row_blocks"]) == 1
    assert min(values["partial_sums"]) == 0
    for one, other in itertools.combinations(names, 2):
        met = {(getattr(tile, one), getattr(tile, other)) for tile in EDGE_TILES}
        for pair in itertools.product(values[one], values[other]):
            # Sums over row blocks need a buffer.
            if (one, other) != ("row_blocks", "partial_sums") or pair[0] == 1 or pair[1] > 0:
                assert pair in met, (one, other, pair)


def test_the_short_regression_begins_with_the_small_tile():
    assert [run.tile for run in short_runs(TILE, 1)[:2]] == [SMALL_TILE, SMALL_TILE]
    assert len({run.id for run in short_runs(SMALL_TILE, 1)}) == 4


def test_blocks_of_the_platform_run_once_whatever_the_tiles():
    assert [run.tile for run in long_runs(TILE, 1) if run.bench is Bench.PLATFORM] == [SMALL_TILE]
    folders = [folder for bench in Bench for folder in bench.folders]
    assert len(folders) == len(set(folders))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200)])
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


def test_a_budget_without_a_unit_is_a_mistake():
    with pytest.raises(SimulationError, match="such as 30m, not '30'"):
        seconds_of("30")


def test_a_hung_design_ends_with_the_state_of_every_stream(tmp_path, monkeypatch):
    """A good job whose operands never come, as if it had to be refused."""
    # Under pytest cocotb's runner itself ends where a test fails.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    run = Run(bench=Bench.TILE, tile=SMALL_TILE, seed=1)  # whose model `make sim` has built
    fields = {"weight_bits": 4, "activation_bits": 4, "signed": 0, "vectors": 1, "row_blocks": 1}
    case = Case(idle="never", stall="never", seed=1, jobs=(Refused(fields, "WEIGHT_BITS"),))
    write_cases(tmp_path / "cases.json", [case])
    models = Models(MODELS, Processes())
    [result] = run_cases(run, models, tmp_path / "cases.json", tmp_path / "run")
    assert result.message.endswith(
        "hangs: no beat in 2,000 cycles: "
        "jobs has moved 1 beats, valid 0, ready 0; "
        "weights has moved 0 beats, valid 0, ready 1; "
        "activations has moved 0 beats, valid 0, ready 1; "
        "results has moved 0 beats, valid 0, ready 1"
    )


def test_a_network_that_differs_or_reaches_too_little_has_failed():
    plan = read_plan()
    mixed = plan.networks[0]
    good = {"artifact": mixed.artifact, "failure": "", "agrees": True, "seconds": 1.0}
    bins = list(functional_coverage.bin_names())
    outcomes = [
        network_tests([good | {"bins": bins}], plan)[0],
        network_tests([good | {"bins": bins, "agrees": False}], plan)[0],
        network_tests([good | {"bins": []}], plan)[0],
        network_tests([good | {"bins": [], "artifact": "another"}], plan)[0],
    ]
    assert [test["outcome"] for test in outcomes] == ["passed", "failed", "failed", "passed"]
    assert outcomes[2]["message"].startswith("reaches no bin precision 16x16 signed, ")
    failed = {
        a.testpoint.name
        for a in Regression().assess(plan, outcomes[1:2])
        if a.outcome is Outcome.FAILED
    }
    assert failed == {"networks.on_the_tile"}
