"""Verilator and Amaranth's own simulator, cycle by cycle and net by net."""

import numpy as np
import pytest

from adq.rtl.parameters import TileParameters
from adq.verif.operands.beats import Results, result_bytes
from adq.verif.operands.jobs import random_job
from adq.verif.signoff.regression.twin import Twin, schedule_of
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("simulators.agree")

TILE = TileParameters(rows=3, columns=16, row_blocks=2, partial_sums=2, vectors=6)


CYCLES = 700


@pytest.fixture(scope="module")
def twin():
    return Twin(TILE)


@pytest.fixture(scope="module")
def jobs():
    rng = np.random.default_rng(1)
    return [
        random_job(
            TILE,
            rng,
            weight_bits=int(rng.choice(TILE.weight_widths)),
            activation_bits=int(rng.integers(1, 17)),
            signed=bool(rng.integers(2)),
            vectors=int(rng.integers(1, 3)),
            row_blocks=int(rng.integers(1, 3)),
        )
        for _ in range(16)
    ]


@pytest.fixture(scope="module")
def schedule(jobs):
    return schedule_of(TILE, jobs, seed=1, cycles=CYCLES)


@pytest.fixture(scope="module")
def by_verilator(twin, schedule, tmp_path_factory):
    return twin.on_verilator(schedule, directory=tmp_path_factory.mktemp("twin"), cache=MODELS)


@pytest.fixture(scope="module")
def by_amaranth(twin, schedule):
    return twin.on_amaranth(schedule)


def test_results_are_the_same_in_the_same_cycles(by_verilator, by_amaranth, jobs):
    assert by_verilator.results == by_amaranth.results
    size = result_bytes(TILE)
    beats = [beat.to_bytes(size, "little") for _, beat in by_amaranth.results]
    results = Results(TILE, np.array([np.frombuffer(beat, np.uint8) for beat in beats]))
    first = 0
    for job in jobs:
        last = first + job.activations.shape[1]
        assert (results.outputs(job.weight_bits)[first:last] == job.results).all()
        first = last
    assert first == len(beats)


def test_named_nets_toggle_as_often_in_every_block(by_verilator, by_amaranth):
    assert by_verilator.toggles == by_amaranth.toggles
    assert all(by_verilator.toggles.values())


def test_all_but_a_few_nets_are_compared(twin):
    """Nets that Amaranth names itself, at the boundaries of components, belong to no signal."""
    compared = sum(mask.bit_count() for nets in twin.nets.values() for _, mask in nets)
    assert compared > 2000
    assert all(name.startswith("shift_add.") for name in twin.unnamed)


def test_one_bit_of_one_beat_is_noticed(twin, schedule, jobs, by_verilator):
    other = schedule_of(TILE, jobs, seed=1, cycles=CYCLES)
    gap, payload = other.beats["weights"][4]
    other.beats["weights"][4] = (gap, payload ^ 1)
    played = twin.on_amaranth(other)
    assert played.results != by_verilator.results
    assert played.toggles != by_verilator.toggles
