import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from adq.golden import integer_network
from adq.golden.mapping.mapper import (
    MappingError,
    activation_block,
    assemble,
    operands,
    plan_layer,
    plan_matrix,
    weight_block,
)
from adq.golden.network import INPUT, ActivationFormat
from adq.rtl.parameters import TileParameters
from tests.golden_networks import NetworkBuilder, digits_like_network, networks, random_inputs

pytestmark = pytest.mark.testpoint("mapper.exact")


def execute(plan, matrix, weights):
    """Return what the tile gives for each job, by plain integer products."""
    matrix, weights = np.asarray(matrix, np.int64), weights.astype(np.int64)
    for job in plan.jobs:
        yield sum(
            activation_block(plan, job, block, matrix) @ weight_block(plan, job, block, weights)
            for block in range(job.row_blocks)
        )


def mapped_accumulators(network, layer, layer_input, tile):
    matrix, weights = operands(network, layer.name, layer_input)
    plan = plan_layer(network, layer.name, len(matrix), tile)
    total = assemble(plan, execute(plan, matrix, weights))
    return plan, total + layer.bias.reshape(-1, *[1] * (total.ndim - 2))


tiles = st.builds(
    TileParameters,
    rows=st.integers(1, 40),
    columns=st.sampled_from([16, 32, 48]),
    row_blocks=st.sampled_from([1, 2, 256]),
    partial_sums=st.integers(1, 9),
    vectors=st.integers(1, 30),
)


@settings(max_examples=60, deadline=None)
@given(networks(), tiles)
def test_executed_plans_give_the_accumulators(case, tile):
    network, inputs = case
    trace = integer_network.run(network, inputs)
    tensors = {INPUT: inputs, **trace.outputs}
    for layer in network.matrix_layers:
        plan, total = mapped_accumulators(network, layer, tensors[layer.input], tile)
        np.testing.assert_array_equal(total, trace.accumulators[layer.name], err_msg=layer.name)
        for job in plan.jobs:
            assert 1 <= job.vector_count <= tile.vectors
            assert job.row_blocks <= tile.row_blocks
            assert job.row_blocks == 1 or job.vector_count <= tile.partial_sums
            assert job.outputs.stop - job.outputs.start <= tile.outputs(job.weight_bits)


def test_plan_by_hand():
    # conv2: 72 rows, 8 outputs of 4 bits, 4-bit unsigned inputs; 64 vectors an image.
    network = digits_like_network(4)
    tile = TileParameters(rows=32, columns=16, partial_sums=50)
    plan = plan_layer(network, "conv2", 64, tile)
    spans = [(job.outputs, job.vectors) for job in plan.jobs]
    assert spans == [
        (slice(0, 4), slice(0, 50)),
        (slice(0, 4), slice(50, 64)),
        (slice(4, 8), slice(0, 50)),
        (slice(4, 8), slice(50, 64)),
    ]
    assert {(j.weight_bits, j.activation_bits, j.signed, j.row_blocks) for j in plan.jobs} == {
        (4, 4, False, 3)
    }
    assert plan.weight_loads == 12


def test_a_matrix_is_planned_by_its_sizes_alone():
    tile = TileParameters(rows=32, columns=16, partial_sums=50)
    plan = plan_matrix(
        "conv2",
        rows=72,
        shape=(8, 8, 8),
        weight_bits=4,
        activation_bits=4,
        signed=False,
        vectors=64,
        tile=tile,
    )
    assert plan == plan_layer(digits_like_network(4), "conv2", 64, tile)


def test_rows_beyond_a_job_take_another():
    # 72 rows are five blocks of 16, two of which a job accumulates.
    tile = TileParameters(rows=16, columns=32, row_blocks=2, partial_sums=64)
    plan = plan_layer(digits_like_network(4), "conv2", 64, tile)
    blocks = [(job.blocks, job.row_blocks) for job in plan.jobs]
    assert blocks == [(slice(0, 2), 2), (slice(2, 4), 2), (slice(4, 5), 1)]
    assert plan.weight_loads == 5


def grouped_network(groups, channels_of_group, outputs_of_group):
    rng = np.random.default_rng(3)
    builder = NetworkBuilder(
        rng, (groups * channels_of_group, 4, 4), ActivationFormat(bits=4, signed=False, scale=1.0)
    )
    builder.conv(groups * outputs_of_group, (3, 3), (1, 1), (1, 1), groups=groups)
    return builder.network(classes=2)


@pytest.mark.parametrize(
    ("rows", "blocks"),
    [
        # 18 rows and 2 outputs a group: three groups fill 54 of 64 rows.
        (64, [((0, 6), (0, 3)), ((6, 10), (3, 5))]),
        # One group, in two row blocks.
        (16, [((2 * g, 2 * g + 2), (g, g + 1)) for g in range(5)]),
    ],
)
def test_groups_that_fit_share_a_job(rows, blocks):
    network = grouped_network(5, 2, 2)
    tile = TileParameters(rows=rows, columns=128)
    plan = plan_layer(network, "conv0", 16, tile)
    spans = [
        ((job.outputs.start, job.outputs.stop), (job.groups.start, job.groups.stop))
        for job in plan.jobs
    ]
    assert spans == blocks


@pytest.mark.parametrize(("rows", "columns"), [(64, 128), (40, 32), (16, 128), (18, 16), (7, 16)])
@pytest.mark.parametrize(("groups", "outputs"), [(5, 2), (4, 3), (3, 20)])
def test_jobs_of_groups_give_torchs_convolution(rows, columns, groups, outputs):
    network = grouped_network(groups, 2, outputs)
    layer = network["conv0"]
    inputs = random_inputs(network, np.random.default_rng(4), 2)
    tile = TileParameters(rows=rows, columns=columns, partial_sums=5)
    _, total = mapped_accumulators(network, layer, inputs, tile)
    expected = functional.conv2d(
        torch.from_numpy(inputs.astype(np.float64)),
        torch.from_numpy(layer.weight.astype(np.float64)),
        torch.from_numpy(layer.bias.astype(np.float64)),
        padding=1,
        groups=groups,
    )
    np.testing.assert_array_equal(total, expected.numpy())
    assert total.dtype == np.int64


def test_layer_of_one_row_block_ignores_the_partial_sum_buffer():
    tile = TileParameters(rows=72, columns=32, row_blocks=1, partial_sums=0, vectors=640)
    plan = plan_layer(digits_like_network(4), "conv2", 640, tile)
    assert len(plan.jobs) == 1


def test_signed_network_input_maps_to_signed_jobs():
    tile = TileParameters(rows=16, columns=48)
    plan = plan_layer(digits_like_network(4), "conv1", 64, tile)
    assert plan.jobs[0].signed


def test_blocks_are_padded_with_zeros():
    network = digits_like_network(4)
    tile = TileParameters(rows=50, columns=48)
    inputs = random_inputs(network, np.random.default_rng(1), 1)
    matrix, weights = operands(
        network, "conv2", integer_network.run(network, inputs).outputs["conv1"]
    )
    plan = plan_layer(network, "conv2", 64, tile)
    job = plan.jobs[0]
    block = weight_block(plan, job, 1, weights)
    assert block.shape == (50, 12)
    np.testing.assert_array_equal(block[:22, :8], network["conv2"].weight.reshape(8, 72)[:, 50:].T)
    assert not block[22:].any()
    assert not block[:, 8:].any()
    block = activation_block(plan, job, 1, matrix)
    np.testing.assert_array_equal(block, np.pad(matrix[:, 50:], ((0, 0), (0, 28))))
    with pytest.raises(IndexError, match="row block 2 of 2"):
        weight_block(plan, job, 2, weights)


def test_layers_that_do_not_map():
    network = digits_like_network(4)
    tile = TileParameters(rows=16, columns=16, row_blocks=4)
    for arguments, message in [
        (("conv1", 65), "conv1: 65 vectors are not whole images, of 64 vectors each"),
        (("conv1", 0), "conv1: 0 vectors are not whole images, of 64 vectors each"),
        (
            ("pool", 64),
            "'pool' is no convolution or linear layer; there are: conv1, conv2, conv3, linear",
        ),
    ]:
        with pytest.raises(MappingError) as error:
            plan_layer(network, *arguments, tile)
        assert str(error.value) == message


def test_operands_and_results_of_wrong_shape_are_refused():
    network = digits_like_network(4)
    with pytest.raises(MappingError) as error:
        operands(network, "conv2", np.zeros((1, 4, 8, 8), int))
    assert str(error.value) == ("conv2: its input has shape (1, 4, 8, 8), it must be (N, 8, 8, 8)")
    plan = plan_layer(network, "linear", 3, TileParameters(rows=32, columns=48))
    with pytest.raises(MappingError) as error:
        assemble(plan, [np.zeros((3, 10), int)])
    assert str(error.value) == "linear: a job's results have shape (3, 10), they must be (3, 12)"
    with pytest.raises(ValueError, match="shorter"):
        assemble(plan, [])
