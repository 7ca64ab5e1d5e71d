"""Replays: ids of runs, failures made small, and waveforms that viewers find their signals in."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pylibfst
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import random_job
from adq.verif.signoff.regression.runs import Bench, Run
from adq.verif.signoff.replay.cases import Case, Refused, read_cases, write_cases
from adq.verif.signoff.replay.shrinking import shrink, smaller
from adq.verif.signoff.replay.waves import read_scopes, write_gtkwave, write_surfer
from adq.verif.simulation.simulator import SimulationError

pytestmark = pytest.mark.testpoint("failures.small")

TILE = TileParameters(rows=1, columns=16, row_blocks=1, partial_sums=0, vectors=3)


def case(jobs: int = 20) -> Case:
    rng = np.random.default_rng(1)
    tile = TileParameters(rows=4, columns=16)
    return Case(
        idle="often",
        stall="lazy",
        seed=1,
        jobs=(
            *(
                random_job(
                    tile,
                    rng,
                    weight_bits=int(rng.choice(tile.weight_widths)),
                    activation_bits=8,
                    signed=False,
                    vectors=3,
                    row_blocks=2,
                )
                for _ in range(jobs)
            ),
            Refused({"weight_bits": 3, "activation_bits": 1, "signed": 0}, "WEIGHT_BITS"),
        ),
    )


def test_a_run_follows_from_its_id():
    for bench in Bench:
        run = Run(bench=bench, tile=TILE, seed=7)
        assert Run.from_id(run.id) == run
    run = Run(bench=Bench.TILE, tile=TILE, seed=7)
    assert run.id == "tile-1x16-1x0-3-seed7"
    assert run.replay("tile.extremes/signed=True") == (
        "make replay RUN=tile-1x16-1x0-3-seed7 TEST='tile.extremes/signed=True'"
    )


@pytest.mark.parametrize(
    "name",
    [
        "tile-4x16",
        "tile-4x16-3x4-6-colour8-seed1",
        "tile-4x17-3x4-6-seed1",
        "other-4x16-3x4-6-seed1",
    ],
)
def test_what_is_no_run_is_a_mistake(name):
    with pytest.raises(SimulationError, match=f"{name} is no run: "):
        Run.from_id(name)


def test_left_out_tests_are_those_named():
    import re

    run = Run(bench=Bench.TILE, tile=TILE, seed=1, leave_out=("tile.every_operand",))
    module = "adq.verif.cocotb.tile.test_tile"
    assert not re.search(run.only, f"{module}.every_operand/weight_bits=2")
    assert not re.search(run.only, f"{module}.every_operand")
    assert re.search(run.only, f"{module}.every_operand_too")
    assert re.search(run.only, f"{module}.extremes/weight_bits=2")


def test_cases_survive_the_disk(tmp_path):
    written = case()
    write_cases(tmp_path / "cases.json", [written], run="a")
    [read], document = read_cases(tmp_path / "cases.json")
    assert document["run"] == "a"
    assert read.size == written.size
    assert (read.jobs[3].weights == written.jobs[3].weights).all()
    assert read.jobs[-1] == written.jobs[-1]


def test_a_failure_of_one_word_shrinks_to_that_word():
    """It fails with a certain weight of a certain job, wherever that stands."""
    culprit = case().jobs[11].weights[1, 2, 0]

    def fails(cases):
        return [
            any(not isinstance(j, Refused) and (j.weights == culprit).any() for j in one.jobs)
            for one in cases
        ]

    small = shrink(case(), fails)
    [job] = small.jobs
    assert job.activations.shape == (1, 1, 4)
    assert small.size == (1, 2, 1)
    assert small.idle == small.stall == "never"


def test_a_failure_of_two_jobs_keeps_both():
    """A job at 2 bits somewhere behind one at 16."""

    def fails(cases):
        bits = [[getattr(job, "weight_bits", 0) for job in one.jobs] for one in cases]
        return [16 in some and 2 in some[some.index(16) :] for some in bits]

    assert fails([case()]) == [True]
    small = shrink(case(), fails)
    assert [job.weight_bits for job in small.jobs] == [16, 2]


def test_every_way_is_smaller_or_calmer():
    large = case(5)
    for way in smaller(large):
        calmer = way.size == large.size and "never" in (way.idle, way.stall)
        assert way.size < large.size or calmer


def test_what_always_fails_ends():
    assert len(shrink(case(), lambda cases: [True] * len(cases)).jobs) == 1


VERILOG = """\
module top(clk, jobs__valid);
  wire jobs__valid;
  wire [16:0] jobs__payload;
  wire [63:0] wide;
  reg [2:0] state = 3'h0;
  wire \\_$1 ;
  \\top.part  part (
    .clk(clk)
  );
endmodule
module \\top.part (clk);
  wire take;
endmodule
"""


def test_streams_and_control_are_grouped_by_block(tmp_path):
    scopes = read_scopes(VERILOG, "top")
    assert [scope.name for scope in scopes] == ["top", "part"]
    assert [signal.name for signal in scopes[0].streams["jobs"]] == ["jobs__valid", "jobs__payload"]
    assert [signal.name for signal in scopes[0].control] == ["state"]
    write_surfer(scopes, Path("dump.fst"), tmp_path / "waves.sucl")
    assert (tmp_path / "waves.sucl").read_text().splitlines() == [
        "load_file dump.fst",
        "variable_add top.clk",
        "variable_add top.rst",
        "divider_add top: jobs",
        "variable_add top.jobs__valid",
        "variable_add top.jobs__payload",
        "divider_add top: control",
        "variable_add top.state",
        "divider_add part: control",
        "variable_add top.part.take",
        "zoom_fit",
    ]
    write_gtkwave(scopes, Path("dump.fst"), tmp_path / "waves.gtkw")
    text = (tmp_path / "waves.gtkw").read_text()
    assert "top.jobs__payload[16:0]" in text
    assert text.index("-part") < text.index("top.part.take")


@pytest.mark.slow
def test_a_replay_leaves_a_waveform_that_holds_what_its_save_files_name(tmp_path):
    run = Run(bench=Bench.TILE, tile=TILE, seed=1)
    test = "tile.extremes/weight_bits=2/signed=True"
    result = CliRunner().invoke(
        main, ["dev", "replay", run.id, "--test", test, "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "1 passed, 0 failed" in result.output
    folder = tmp_path / run.id
    reader = pylibfst.lib.fstReaderOpen(str(folder / "dump.fst").encode())
    _, signals = pylibfst.get_scopes_signals2(reader)
    there = {name.partition(" ")[0].partition("[")[0] for name in signals.by_name}
    assert pylibfst.lib.fstReaderGetEndTime(reader) > 100_000  # ps
    commands = (folder / "waves.sucl").read_text().splitlines()
    named = {line.split()[1] for line in commands if line.startswith("variable_add ")}
    assert len(named) > 100
    assert named <= there
    traces = (folder / "waves.gtkw").read_text().splitlines()
    assert {line.partition("[")[0] for line in traces if line.startswith("tile.")} == named


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing is no run: take an id from regression.json"),
        (["broken.json"], "broken.json: no file of a small case"),
        (["tile-1x16-1x0-3-seed1", "--test", "fuser.extremes"], "has no test fuser.extremes"),
    ],
)
def test_mistakes_are_said(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text(json.dumps({"cases": []}))
    result = CliRunner().invoke(main, ["dev", "replay", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_parameters_that_are_not_as_always_stand_in_the_id(monkeypatch):
    """Whatever parameters a tile has besides its sizes."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Tile(TileParameters):
        counter_width: int = 32

    monkeypatch.setattr("adq.verif.signoff.regression.runs.TileParameters", Tile)
    sizes = {"rows": 1, "columns": 16, "row_blocks": 1, "partial_sums": 0, "vectors": 3}
    run = Run(bench=Bench.TILE, tile=Tile(**sizes, counter_width=8), seed=7)
    assert run.id == "tile-1x16-1x0-3-counter_width8-seed7"
    assert Run.from_id(run.id) == run
    assert Run.from_id("tile-1x16-1x0-3-seed7").tile == Tile(**sizes)


def test_a_small_case_is_replayed_from_its_file(tmp_path):
    run = Run(bench=Bench.TILE, tile=TILE, seed=1)
    rng = np.random.default_rng(1)
    job = random_job(TILE, rng, weight_bits=4, activation_bits=3, signed=True, vectors=2)
    small = Case(idle="often", stall="lazy", seed=3, jobs=(job,))
    write_cases(tmp_path / "small.json", [small], run=run.id, test="tile.extremes")
    arguments = ["dev", "replay", str(tmp_path / "small.json"), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "1 passed, 0 failed" in result.output
    assert (tmp_path / run.id / "dump.fst").stat().st_size > 1000
