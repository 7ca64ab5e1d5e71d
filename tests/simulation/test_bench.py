"""Figures of the hardware: targets, efficiency by hand, and the harness without cocotb."""

import dataclasses
import json

import numpy as np
import pytest

from adq.rtl.interface import Counter
from adq.rtl.parameters import TileParameters
from adq.verif.bench.cocotb_plays import play_under_cocotb
from adq.verif.bench.efficiency import efficiency_of, full_job
from adq.verif.bench.figures import Figure
from adq.verif.bench.simulation_speed import POSITIONS, Layer
from adq.verif.bench.suite import RtlBench
from adq.verif.operands.beats import results_of
from adq.verif.operands.jobs import layer_jobs, random_job, streams_of
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.harness.bare import BarePlay, play_bare
from adq.verif.simulation.results import read_results
from adq.verif.simulation.simulator import SimulationError
from tests.places import MODELS

pytestmark = pytest.mark.testpoint(
    reason="They hold the benches that measure the design, not the design."
)

TILE = TileParameters(rows=3, columns=16, partial_sums=2)


@pytest.mark.parametrize(
    ("value", "targets", "met"),
    [
        (0.95, {"at_least": 0.95}, True),
        (0.94, {"at_least": 0.95}, False),
        (40, {"at_most": 40}, True),
        (41, {"at_most": 40}, False),
        (5, {"at_least": 1, "at_most": 4}, False),
        (5, {}, None),
        (None, {"at_most": 40}, None),
    ],
)
def test_a_figure_meets_its_target(value, targets, met):
    figure = Figure(name="a", tile="3x16", value=value, **targets)
    assert figure.met is met
    assert figure.to_json()["met"] is met


def test_efficiency_by_hand():
    rng = np.random.default_rng(1)
    jobs = [full_job(TILE, rng, weight_bits=2, activation_bits=4, vectors=5) for _ in range(3)]
    counters = dict.fromkeys(Counter, 0)
    counters |= {
        Counter.RUNNING: 60,
        Counter.STALLED_ON_WEIGHTS: 8,
        Counter.SWITCHING_JOBS: 7,
        Counter.IDLE: 1000,
        Counter.JOBS_DONE: 3,
    }
    play = BarePlay(cycles=80, seconds=1.0, cpu_seconds=1.0, switching=(), counters=counters)
    efficiency = efficiency_of(TILE, jobs, play, wrong_results=0)
    assert efficiency.bit_products == 3 * 5 * 4 * 3 * 16
    assert efficiency.by_cycles == 60 / 80
    assert efficiency.by_counters == 60 / 75


def test_jobs_of_a_layer_give_its_product():
    layer = Layer(TileParameters(rows=100, columns=48), seed=1)
    jobs = list(layer_jobs(layer.plan, layer.matrix, layer.weights))
    rows = -(-layer.weights.shape[0] // 100) * 100
    assert {job.weights.shape for job in jobs} == {(rows // 100, 100, 12)}
    assert sum(job.activations.shape[1] for job in jobs) == POSITIONS * -(-64 // 12)
    job = jobs[0]
    vectors = layer.plan.jobs[0].vectors
    assert (job.results == (layer.matrix @ layer.weights)[vectors, :12]).all()


@pytest.fixture(scope="module")
def harness():
    return build_harness(TILE, MODELS)


@pytest.fixture(scope="module")
def jobs():
    rng = np.random.default_rng(1)
    return [
        random_job(
            TILE, rng, weight_bits=n, activation_bits=n, signed=True, vectors=2, row_blocks=3
        )
        for n in TILE.weight_widths
    ]


def test_the_bare_model_gives_the_products_as_cocotb_does(harness, jobs, tmp_path):
    model, design = harness
    streams = streams_of(TILE, jobs)
    plays = play_bare(model, streams, directory=tmp_path / "bare", plays=2)
    under_cocotb = play_under_cocotb(
        model, design, TILE, streams, directory=tmp_path / "cocotb", plays=1
    )
    assert {play.cycles for play in plays} == {under_cocotb[0]["cycles"]}
    assert all(play.counters[Counter.JOBS_DONE] == len(jobs) for play in plays)
    texts = [(tmp_path / name / "results.hex").read_text() for name in ("bare", "cocotb")]
    assert texts[0] == texts[1]
    results = results_of(TILE, texts[0])
    for number, job in enumerate(jobs):
        outputs = results.outputs(job.weight_bits)[2 * number : 2 * number + 2]
        assert (outputs == job.results).all()


def test_a_tile_that_hangs_is_an_error(harness, jobs, tmp_path):
    streams = streams_of(TILE, jobs)
    streams = dataclasses.replace(streams, results=streams.results + 1, patience=200)
    with pytest.raises(SimulationError, match="the tile gave no result in 200 cycles"):
        play_bare(harness[0], streams, directory=tmp_path)


def test_a_tile_that_hangs_under_cocotb_prints_every_stream(harness, jobs, tmp_path, monkeypatch):
    # Under pytest cocotb's runner itself ends where a test fails.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    model, design = harness
    streams = streams_of(TILE, jobs)
    streams.write(tmp_path)
    specification = {
        "tile": dataclasses.asdict(TILE),
        "words": design.words,
        "plays": 1,
        "results": streams.results + 1,
        "patience": 200,
    }
    model.run(
        "adq.verif.cocotb.speed.test_speed",
        directory=tmp_path,
        environment={"ADQ_PLAYS": json.dumps(specification)},
    )
    [result] = read_results(tmp_path / "results.xml")
    assert result.message.endswith(
        f"hangs: no result in 200 cycles: jobs has moved {len(jobs)} beats, valid 0, ready 1; "
        f"weights has moved {len(streams.weights)} beats, valid 0, ready 1; "
        f"activations has moved {len(streams.activations)} beats, valid 0, ready 0; "
        f"results has moved {streams.results} beats, valid 0, ready 1"
    )


def test_without_a_liberty_file_size_and_speed_are_not_measured(tmp_path):
    bench = RtlBench(
        directory=tmp_path, cache=tmp_path, liberty=None, repeats=1, seed=1, progress=print
    )
    bench.run(["synthesis"])
    assert {figure.conditions for figure in bench.figures} == {"no liberty file given"}
    assert all(figure.value is None and figure.met is None for figure in bench.figures)
    assert bench.details == {"synthesis": []}
