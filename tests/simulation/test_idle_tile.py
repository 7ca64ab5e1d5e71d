"""An idle tile, counted: its datapath does not toggle, and almost nothing is clocked."""

import pytest

from adq.rtl.parameters import TileParameters
from adq.verif.bench.idle import CYCLES, measure_idle
from adq.verif.simulation.harness import build_harness
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("tile.idle")

TILE = TileParameters(rows=3, columns=16, partial_sums=2)


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    model, design = build_harness(TILE, MODELS)
    folder = tmp_path_factory.mktemp("idle")
    measured = measure_idle(model, design, TILE, directory=folder, seed=1)
    return {window.name: window for window in measured}


@pytest.mark.parametrize("name", ["at rest", "with noise"])
def test_nothing_toggles_but_the_counter_of_idle_cycles(windows, name):
    window = windows[name]
    assert window.idle_to - window.idle_from == CYCLES
    assert {block: n for block, n in window.toggles.items() if n and block != "control"} == {}
    assert window.unexplained_toggles == 0


@pytest.mark.parametrize("name", ["at rest", "with noise"])
def test_only_flags_and_that_counter_are_clocked(windows, name):
    """Seven bits say whether something is there: a beat to be stored, weights in each of two banks,
    what each of two stages of the pipeline holds, a sum to be stored, and a result; of those that
    count idle cycles eight are clocked, and the 24 above when they overflow.
    """
    window = windows[name]
    clocked = {block: n for block, n in window.clocked.items() if n}
    overflows = window.idle_to // 256 - window.idle_from // 256
    assert sum(clocked.values()) == (7 + 8) * CYCLES + 24 * overflows
    assert set(clocked) == {"storage", "collector", "partial sum buffer", "control"}
