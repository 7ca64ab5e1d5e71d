import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from adq.cli import main
from adq.golden import integer_network
from adq.golden.mapping.mapper import activation_block, operands, plan_layer, weight_block
from adq.golden.mapping.utilization import use_of_layer
from adq.golden.network import INPUT, ActivationFormat
from adq.rtl.parameters import TileParameters
from tests.golden.test_mapper import tiles
from tests.golden_networks import NetworkBuilder, digits_like_network, networks, random_inputs
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("mapper.exact")


@settings(max_examples=40, deadline=None)
@given(networks(), tiles)
def test_every_bit_product_of_every_cycle_is_counted_once(case, tile):
    network, inputs = case
    tensors = {INPUT: inputs, **integer_network.run(network, inputs).outputs}
    for layer in network.matrix_layers:
        use = use_of_layer(network, layer.name, tensors[layer.input], tile)
        assert use.capacity == use.cycles * tile.rows * tile.columns
        assert min(use.useful, *use.lost.values(), use.skipped_planes) >= 0
        assert (use.lost_to_sign == 0) == (
            layer.weight_bits == layer.hardware_weight_bits or use.useful == 0
        )


@settings(max_examples=25, deadline=None)
@given(networks(), tiles)
def test_useful_products_are_those_of_weights_and_planes_in_the_blocks(case, tile):
    """Return the same from the blocks that the tile is given, vector by vector."""
    network, inputs = case
    tensors = {INPUT: inputs, **integer_network.run(network, inputs).outputs}
    for layer in network.matrix_layers:
        matrix, weights = operands(network, layer.name, tensors[layer.input])
        ones = np.ones_like(weights)
        plan = plan_layer(network, layer.name, len(matrix), tile)
        useful = planes = 0
        for job in plan.jobs:
            for block in range(job.row_blocks):
                held = int(weight_block(plan, job, block, ones).sum())
                for vector in activation_block(plan, job, block, matrix).tolist():
                    bits = [f"{word & (2**job.activation_bits - 1):b}" for word in vector]
                    left = max((len(word) for word in bits if word != "0"), default=0)
                    planes += job.activation_bits - left
                    useful += held * left * layer.weight_bits
        use = use_of_layer(network, layer.name, tensors[layer.input], tile)
        assert (use.useful, use.skipped_planes) == (useful, planes)


def test_causes_by_hand():
    # conv1: 9 rows, 8 outputs of 4 bits, 64 vectors of four planes an image.
    network = digits_like_network(4)
    tile = TileParameters(rows=16, columns=48)
    inputs = np.full((1, 1, 8, 8), -8)
    use = use_of_layer(network, "conv1", inputs, tile)
    planes = 64 * 4
    assert (use.jobs, use.weight_loads, use.skipped_planes) == (1, 1, 0)
    assert use.useful == planes * 9 * 32
    assert use.lost == {
        "sign": 0,
        "rows": planes * 7 * 48,
        "columns": planes * 9 * 16,
        "zeros": 0,
        "starts": 16 * 48 * (tile.start_latency - 1),
        "waits": 16 * 48 * (use.cycles - planes - (tile.start_latency - 1)),
    }
    assert use.utilization == pytest.approx(9 / 16 * 32 / 48 * planes / use.cycles)
    zeros = use_of_layer(network, "conv1", np.zeros_like(inputs), tile)
    assert zeros.skipped_planes == planes
    assert zeros.lost["zeros"] == 64 * 16 * 48
    assert zeros.useful == 0


def test_map_prints_and_writes_a_plan(tmp_path):
    artifact = ROOT / "golden" / "vectors" / "digits" / "mixed"
    tile = ROOT / "configs" / "tile" / "64x64.toml"
    arguments = ["map", str(artifact), "--tile", str(tile), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, "--images", "2"])
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.rglob("mixed.json")
    plan = json.loads(path.read_text())
    assert plan["images"] == 2
    assert [layer["layer"] for layer in plan["layers"]] == ["conv1", "conv2", "conv3", "linear"]
    assert plan["cycles"] == sum(layer["cycles"] for layer in plan["layers"])
    assert f"{plan['cycles']:,}" in result.output
    result = CliRunner().invoke(main, [*arguments, "--images", "5"])
    assert result.exit_code == 2
    assert result.stderr == "error: the artifact has 4 sample images, not 5\n"


def test_windows_larger_than_the_memory_are_counted_part_by_part():
    """31 x 31 windows of 300 x 300 words: 86 MB as a matrix, of an image of 0.8 MB."""
    rng = np.random.default_rng(1)
    builder = NetworkBuilder(rng, (1, 900, 900), ActivationFormat(bits=3, signed=False, scale=1.0))
    builder.conv(1, (300, 300), (20, 20), (0, 0))
    network = builder.network(classes=2)
    inputs = random_inputs(network, rng, 1)
    tile = TileParameters(rows=1024, columns=16)
    tracemalloc.start()
    use = use_of_layer(network, builder.nodes[0].name, inputs, tile)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert use.vectors == 31 * 31
    assert peak < 2**24 < 31 * 31 * 300 * 300
    assert use.useful + use.lost_to_zeros > 0
