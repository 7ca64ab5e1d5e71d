"""The engine in RTL: random layers, and whole networks, against interpreter and formulas."""

import json
from pathlib import Path

import numpy as np
import pytest

from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.golden.integer_network import run
from adq.golden.network import ActivationFormat
from adq.golden.platform.emission import emit
from adq.golden.platform.host import input_memory, run_and_compare
from adq.golden.platform.planner import plan
from adq.golden.platform.timeline import engine_cycles
from adq.golden.samples import Artifact, Samples
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.engine.model import build_engine, environment_of
from tests.golden_networks import NetworkBuilder, random_inputs

pytestmark = pytest.mark.testpoint("platform.engine", "platform.cycles")

MODELS = Path(__file__).parents[1] / "build" / "models"

SMALL = PlatformParameters(
    rows=16, columns=16, plane_memory_kib=4, accumulator_vectors=16, requantizers=2
)


def simulate(platform, module, directory, **environment):
    """Run cocotb tests of the engine; returns the number of tests."""
    tests, failures = build_engine(platform, MODELS).run(
        f"adq.verif.cocotb.engine.{module}",
        directory=directory,
        environment=environment_of(platform) | environment,
        seed=1,
        timeout=1800,
    )
    assert failures == 0, (directory / "sim.log").read_text()[-4000:]
    return tests


def assert_computes(network, inputs, platform, directory, batch=4):
    """Hold every layer of a network on the engine against the interpreter and its timeline.

    The interpreter is held against the integer network. Returns layers and cycles.
    """
    program = emit(plan(network, platform, batch=batch), len(inputs))
    _, compared = run_and_compare(network, program, inputs, run(network, inputs))
    assert not any(each.differing for each in compared.values())
    (directory / "network.program").write_bytes(program.to_bytes())
    (directory / "inputs").write_bytes(input_memory(program, inputs))
    assert simulate(platform, "test_program", directory, ADQ_PROGRAM=str(directory)) == 1
    found = json.loads((directory / "engine.json").read_text())
    assert found["integers"]
    layers = []
    for each in found["layers"]:
        layer = program.descriptor(each["index"])
        assert isinstance(layer, Layer)
        expected = engine_cycles(layer, platform)
        # Words of a skip connection may lie in the bank that the walker reads.
        assert each["cycles"] == expected or (layer.skip and each["cycles"] > expected)
        layers.append((layer, each["cycles"]))
    return layers


def narrow(network, inputs):
    """Give a network skip multipliers of 16 bits."""
    samples = Samples.record(network, inputs, None)
    artifact = Artifact(network=network, samples=samples, generator={"name": "t", "version": "1"})
    return converted(artifact).artifact.network


def test_random_layers(tmp_path):
    assert simulate(SMALL, "test_engine", tmp_path) == 9


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
    layers = [layer for layer, _ in assert_computes(network, inputs, SMALL, tmp_path, batch=2)]
    assert {layer.mode for layer in layers} == {Mode.REQUANTIZE, Mode.RAW, Mode.TABLE}
    assert any(layer.skip for layer in layers)
    assert any(layer.window > 1 and layer.pool_padding_y for layer in layers)
    assert any(layer.stride_x > 1 for layer in layers)
    assert any(layer.source_pitch < SMALL.rows for layer in layers)
    assert any(layer.source_pitch > SMALL.rows for layer in layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits/mixed", "digits/16bit", "resnet8"])
def test_checked_in_networks_on_one_tile_of_64x64(name, tmp_path):
    artifact = converted(read_artifact(f"golden/vectors/{name}")).artifact
    assert_computes(artifact.network, artifact.samples.inputs, PlatformParameters(), tmp_path)
