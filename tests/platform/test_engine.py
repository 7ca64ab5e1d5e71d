"""The engine in RTL: random layers, and whole networks, against interpreter and formulas."""

import numpy as np
import pytest

from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.golden.network import ActivationFormat
from adq.golden.samples import Artifact, Samples
from adq.rtl.platform.descriptors import Mode
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.bench.engine import run_on_engine
from adq.verif.cocotb.engine.model import build_engine
from adq.verif.simulation.environment import platform_environment
from tests.golden_networks import NetworkBuilder, random_inputs
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("platform.engine", "platform.cycles")


SMALL = PlatformParameters(
    rows=16, columns=16, plane_memory_kib=4, accumulator_vectors=16, requantizers=2
)


GRIDS = ["1x2x1", "1x1x2", "2x2x1", "3x2x2"]


def grid(sizes, **changes):
    """Return a platform of small tiles: stack, columns of tiles, clusters."""
    stack, columns, clusters = map(int, sizes.split("x"))
    fields = vars(SMALL) | changes
    return PlatformParameters(
        **fields | {"stack": stack, "tile_columns": columns, "clusters": clusters}
    )


def run_network(network, inputs, platform, directory, batch=4):
    """Run a network on the engine; every integer and every cycle is compared. Returns its layers.

    Reads of a skip connection may wait for the walker, for as long as addresses decide.
    """
    runs = list(run_on_engine(network, inputs, platform, directory, MODELS, batch=batch))
    assert all(each.agrees for each in runs)
    for each in runs:
        if platform.tiles == 1 and not each.layer.skip:
            assert each.cycles == each.timeline, each.node
    return [each.layer for each in runs]


def narrow(network, inputs):
    """Give a network skip multipliers of 16 bits."""
    samples = Samples.record(network, inputs, None)
    artifact = Artifact(network=network, samples=samples, generator={"name": "t", "version": "1"})
    return converted(artifact).artifact.network


def test_random_layers(tmp_path):
    tests, failures = build_engine(SMALL, MODELS).run(
        "adq.verif.cocotb.engine.test_engine",
        directory=tmp_path,
        environment=platform_environment(SMALL),
        seed=1,
    )
    assert (tests, failures) == (12, 0), (tmp_path / "sim.log").read_text()[-4000:]


@pytest.mark.parametrize(
    "sizes", ["2x1x1", *(pytest.param(each, marks=pytest.mark.slow) for each in GRIDS)]
)
def test_random_layers_on_several_tiles(sizes, tmp_path):
    several = grid(sizes, plane_memory_kib=1, plane_banks=8)
    tests, failures = build_engine(several, MODELS).run(
        "adq.verif.cocotb.engine.test_engine",
        directory=tmp_path,
        environment=platform_environment(several),
        seed=1,
    )
    assert (tests, failures) == (12, 0), (tmp_path / "sim.log").read_text()[-4000:]


def test_a_residual_network_with_everything_that_a_step_has(tmp_path):
    builder = NetworkBuilder(np.random.default_rng(5), (3, 8, 8),
                             ActivationFormat(bits=5, signed=False, scale=1.0))  # fmt: skip
    builder.conv(8, (3, 3), (1, 1), (1, 1))
    builder.residual()
    builder.conv(12, (3, 3), (2, 2), (1, 1))
    builder.max_pool((3, 3), (2, 2), (1, 1))
    builder.conv(12, (3, 1), (1, 1), (1, 0), groups=12)
    builder.lookup()
    builder.concat()
    builder.rescale(None)
    builder.average_pool((2, 2), (1, 1))
    network = builder.network(classes=5)
    inputs = random_inputs(network, np.random.default_rng(6), 3)
    network = narrow(network, inputs)
    layers = run_network(network, inputs, SMALL, tmp_path, batch=2)
    assert {Mode.REQUANTIZE, Mode.RAW, Mode.TABLE} <= {layer.mode for layer in layers}
    assert any(layer.skip for layer in layers)
    assert any(layer.window > 1 and layer.pool_padding_y for layer in layers)
    assert any(layer.stride_x > 1 for layer in layers)
    assert any(layer.source_pitch < SMALL.rows for layer in layers)
    assert any(layer.source_pitch > SMALL.rows for layer in layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits/mixed", "digits/16bit", "resnet8"])
def test_checked_in_networks_on_one_tile_of_64x64(name, tmp_path):
    artifact = converted(read_artifact(f"golden/vectors/{name}")).artifact
    run_network(artifact.network, artifact.samples.inputs, PlatformParameters(), tmp_path)
