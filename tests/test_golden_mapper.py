"""The mapper: its jobs, computed one by one, give the integer network's accumulators."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import integer_network, mapper
from golden.formats import NetworkError
from rtl.parameters import TileParameters
from tests.golden_networks import digits_like_network, networks, random_inputs


@st.composite
def tiles(draw):
    return TileParameters(
        rows=draw(st.integers(1, 40)),
        columns=16 * draw(st.integers(1, 3)),
        partial_sums=draw(st.integers(1, 9)),
        vectors=draw(st.integers(1, 20)),
    )


def multiply_job_by_job(plan, matrix, weights):
    """Every job as a plain product of its padded blocks."""
    results = []
    for job in plan.jobs:
        blocks = [
            mapper.activation_block(plan, job, block, matrix).astype(object)
            @ mapper.weight_block(plan, job, block, weights).astype(object)
            for block in range(job.row_blocks)
        ]
        results.append(sum(blocks).astype(np.int64))
    return mapper.assemble(plan, results)


@settings(deadline=None, max_examples=60)
@given(networks(), tiles())
def test_jobs_give_the_accumulators(case, tile):
    network, inputs = case
    trace = integer_network.run(network, inputs)
    tensors = {"input": inputs, **trace.outputs}
    for layer in network.matrix_layers:
        matrix, weights = mapper.operands(network, layer.name, tensors[layer.input])
        plan = mapper.plan_layer(network, layer.name, len(matrix), tile)
        products = multiply_job_by_job(plan, matrix, weights)
        expected = trace.accumulators[layer.name]
        bias = layer.bias.reshape(-1, *(1,) * (expected.ndim - 2))
        assert (products + bias == expected).all()


@settings(deadline=None, max_examples=60)
@given(networks(), tiles())
def test_jobs_keep_to_the_tile(case, tile):
    network, inputs = case
    for layer in network.matrix_layers:
        vectors = len(inputs) * math.prod(network.shapes[layer.name][1:])
        plan = mapper.plan_layer(network, layer.name, vectors, tile)
        for job in plan.jobs:
            length = job.vectors.stop - job.vectors.start
            assert job.weight_bits in tile.weight_widths
            assert 1 <= job.outputs.stop - job.outputs.start <= tile.outputs(job.weight_bits)
            assert 1 <= length <= tile.vectors
            assert job.row_blocks == 1 or length <= tile.partial_sums
        assert plan.weight_loads == sum(job.row_blocks for job in plan.jobs)
        assert 0 < plan.utilization <= 1


def test_a_layer_that_fills_its_blocks_loses_nothing():
    # conv2: 72 rows and 8 outputs of 4 bits.
    tile = TileParameters(rows=24, columns=32)
    plan = mapper.plan_layer(digits_like_network(), "conv2", 64, tile)
    assert [job.row_blocks for job in plan.jobs] == [3]
    assert plan.utilization == 1
    half = mapper.plan_layer(
        digits_like_network(), "conv2", 64, dataclasses.replace(tile, rows=48, columns=64)
    )
    assert half.utilization == pytest.approx(72 / 96 * 8 / 16)


def test_too_many_row_blocks():
    tile = TileParameters(rows=8, columns=16, row_blocks=4)
    with pytest.raises(
        NetworkError,
        match=r"conv2 has 72 rows, 9 blocks of the tile's 8, which accumulates over 4: "
        r"raise row_blocks or rows of the tile",
    ):
        mapper.plan_layer(digits_like_network(), "conv2", 64, tile)


def test_hardware_computes_in_place_of_the_reference():
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(3), 2)
    asked = []

    def compute(network, name, layer_input):
        asked.append(name)
        return integer_network.accumulate(network, name, layer_input) + (name == "linear")

    trace = integer_network.run(network, inputs, compute=compute)
    assert asked == ["conv1", "conv2", "conv3", "average", "linear"]
    assert (trace.logits == integer_network.run(network, inputs).logits + 1).all()
