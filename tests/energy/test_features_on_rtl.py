"""Features of jobs against the classes of nets and registers that they stand for, to the toggle."""

import numpy as np
import pytest

from adq.rtl.adder_trees import ARITHMETICS
from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import CLASSES, features_of
from adq.verif.operands.jobs import random_job, streams_of
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.harness.bare import play_bare
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("switching.counted")

TILES = tuple(
    TileParameters(rows=16, columns=16, row_blocks=1, partial_sums=0, arithmetic=arithmetic)
    for arithmetic in ARITHMETICS
)
DEFAULT = TileParameters().arithmetic
"""The others run with the slow tests: a model of each is compiled."""

SEED = 3

CLOCKED = {
    "vector_bits": ["feeder/vector"],
    "line_bits": ["row lines/row_lines"],
    "fused_bits": ["fusing/fused"],
    "accumulator_bits": ["accumulators/acc"],
    "result_bits": ["collector/low", "collector/total"],
    "beat_bits": ["storage/beat"],
    "storage_bits": ["storage/weights"],
}
ENABLED = {
    "plane_cycles": ["feeder/index"],
    "vectors": ["collector/total"],
    "jobs": ["feeder/activation_bits"],
    "beats": ["storage/beat"],
}
"""Classes whose counts a feature is, by what is counted."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(tile, marks=[] if tile.arithmetic == DEFAULT else pytest.mark.slow)
        for tile in TILES
    ],
    ids=lambda tile: tile.arithmetic,
)
def harness(request):
    return request.param, build_harness(request.param, MODELS)


@pytest.fixture(
    scope="module", params=[(2, 5, False), (4, 8, True), (8, 16, True), (16, 3, False)], ids=str
)
def played(request, harness, tmp_path_factory) -> tuple[dict[str, float], ClassCounts]:
    """Features of jobs of one precision, and what the RTL counted of them."""
    weight_bits, activation_bits, signed = request.param
    rng = np.random.default_rng([SEED, weight_bits])
    tile, (model, design) = harness
    jobs = [
        random_job(
            tile,
            rng,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=signed,
            vectors=12,
            density=0.5,
        )
        for _ in range(2)
    ]
    folder = tmp_path_factory.mktemp("played")
    [play] = play_bare(model, streams_of(tile, jobs), directory=folder)
    return features_of(tile, jobs), design.counts_of(play.switching)


@pytest.mark.parametrize(
    ("kind", "held"), [("toggles", CLASSES), ("clocked", CLOCKED), ("enabled", ENABLED)]
)
def test_a_feature_is_the_count_of_its_classes(played, kind, held):
    features, counts = played
    # Lines fall behind a block's last plane, clocked as for a plane.
    lines = TILES[0].rows * (features["planes"] + features["blocks"])
    both = features["planes"] + features["zero_planes"]
    features = features | {"line_bits": lines, "plane_cycles": both}
    found = {
        name: sum(getattr(counts, kind).get(NetClass.parse(each), 0) for each in classes)
        for name, classes in held.items()
    }
    assert found == {name: features[name] for name in held}
