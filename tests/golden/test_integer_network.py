import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from adq.golden import integer_network, integer_network_reference
from adq.golden.mapping.im2col import WindowMatrix
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MaxPool2d,
    Multiply,
    Network,
    NetworkError,
    Requantize,
    Rescale,
    Reshape,
)
from tests.golden_networks import NetworkBuilder, digits_like_network, networks, random_inputs

pytestmark = pytest.mark.testpoint("numbers.network")


def torch_run(network, inputs):
    """Compute the network by torch's float64 convolutions and int64 arithmetic."""
    tensors = {INPUT: torch.from_numpy(inputs.astype(np.int64))}
    accumulators = {}
    for node in network.nodes:
        source = tensors[node.input].double()
        total = None
        if isinstance(node, Conv2d):
            weight = torch.from_numpy(node.weight.astype(np.float64))
            total = functional.conv2d(
                source, weight, None, node.stride, node.padding, node.dilation, node.groups
            )
            total = total.long() + torch.tensor(node.bias)[:, None, None]
        elif isinstance(node, Linear):
            weight = torch.from_numpy(node.weight.astype(np.float64))
            total = functional.linear(source, weight).long() + torch.tensor(node.bias)
        elif isinstance(node, AveragePool2d):
            total = functional.avg_pool2d(source, node.kernel, node.stride, divisor_override=1)
            total = total.long()
        elif isinstance(node, Multiply):
            product = source.long() * tensors[node.other].long()
            tensors[node.name] = torch_requantize(product, node.requantize, tensors)
        elif isinstance(node, Gather):
            # Zeros stand behind the last channel, row and column.
            padded = functional.pad(source, (0, 1) * len(node.positions))
            for axis, positions in enumerate(node.positions, 1):
                chosen = torch.tensor(positions) % padded.shape[axis]
                padded = padded.index_select(axis, chosen)
            tensors[node.name] = padded.long()
        elif isinstance(node, Concat):
            tensors[node.name] = torch.cat([tensors[name].long() for name in node.reads], 1)
        elif isinstance(node, Lookup):
            lowest = network.formats[node.input].lo
            tensors[node.name] = torch.tensor(node.table)[source.long() - lowest].long()
        elif isinstance(node, Reshape):
            tensors[node.name] = source.reshape(-1, *node.to).long()
        elif isinstance(node, Rescale):
            tensors[node.name] = torch_requantize(source.long(), node.requantize, tensors)
        elif isinstance(node, MaxPool2d):
            pooled = functional.max_pool2d(source, node.kernel, node.stride, node.padding)
            tensors[node.name] = pooled.long()
        else:
            tensors[node.name] = source.flatten(1).long()
        if total is not None:
            accumulators[node.name] = total
            if node.requantize is not None:
                tensors[node.name] = torch_requantize(total, node.requantize, tensors)
    return accumulators, tensors


def torch_requantize(total, parameters, tensors):
    def channels(multiplier):
        columns = (-1, *[1] * (total.ndim - 2))
        return torch.from_numpy(multiplier.astype(np.int64)).reshape(columns)

    scaled = total * channels(parameters.multiplier)
    if parameters.skip is not None:
        product = tensors[parameters.skip] * channels(parameters.skip_multiplier)
        scaled = scaled + (product << parameters.skip_shift)
    if parameters.offset is not None:
        scaled = scaled + channels(parameters.offset)
    if parameters.shift:
        scaled = torch.div(scaled + 2 ** (parameters.shift - 1), 2**parameters.shift,
                           rounding_mode="floor")  # fmt: skip
    return scaled.clamp(parameters.format.lo, parameters.format.hi)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_fast_network_equals_bit_serial_reference_and_torch(case):
    network, inputs = case
    fast = integer_network.run(network, inputs)
    slow = integer_network_reference.run(network, inputs)
    assert_same(fast.accumulators, slow.accumulators)
    assert_same(fast.outputs, slow.outputs)
    np.testing.assert_array_equal(fast.classes, slow.classes)
    np.testing.assert_array_equal(integer_network.logits(network, inputs), slow.logits)

    accumulators, outputs = torch_run(network, inputs)
    assert_same(fast.accumulators, {name: t.numpy() for name, t in accumulators.items()})
    del outputs[INPUT]
    assert_same(fast.outputs, {name: t.numpy() for name, t in outputs.items()})


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_network_of_digits_size_equals_torch(bits):
    network = digits_like_network(bits)
    inputs = random_inputs(network, np.random.default_rng(bits), 30)
    trace = integer_network.run(network, inputs)
    accumulators, outputs = torch_run(network, inputs)
    assert_same(trace.accumulators, {name: t.numpy() for name, t in accumulators.items()})
    for name, output in trace.outputs.items():
        np.testing.assert_array_equal(output, outputs[name].numpy())
        assert output.dtype == network.formats[name].dtype
    # Every node shows more than one value, so that equality says something.
    assert all(len(np.unique(output)) > 1 for output in trace.outputs.values())


@given(
    weights=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=6),
    activation_bits=st.integers(1, 16),
    signed=st.booleans(),
    data=st.data(),
)
def test_bit_serial_product_equals_plain_product(weights, activation_bits, signed, data):
    target = ActivationFormat(bits=activation_bits, signed=signed, scale=1.0)
    activations = [data.draw(st.integers(target.lo, target.hi)) for _ in weights]
    product = integer_network_reference.bit_serial_product(weights, activations, 16, target)
    assert product == sum(w * a for w, a in zip(weights, activations, strict=True))


def linear_network(weight, input_format, weight_bits=16, bias=None):
    weight = np.asarray(weight)
    outputs, inputs = weight.shape
    return Network(
        name="linear",
        input_shape=(inputs, 1, 1),
        input_format=input_format,
        nodes=(
            Flatten(name="flatten", input=INPUT),
            Linear(
                name="logits",
                input="flatten",
                weight=weight,
                weight_bits=weight_bits,
                bias=np.zeros(outputs, int) if bias is None else bias,
                requantize=None,
            ),
        ),
    )


def test_widest_operands_stay_exact():
    # 1001 products of -2^15 and 2^16-1, and one of 1 and 1 that a rounding would swallow.
    rows = 1002
    weight = np.full((1, rows), -(2**15))
    weight[0, -1] = 1
    network = linear_network(weight, ActivationFormat(bits=16, signed=False, scale=1.0))
    inputs = np.full((1, rows, 1, 1), 2**16 - 1)
    inputs[0, -1] = 1
    expected = 1001 * -(2**15) * (2**16 - 1) + 1
    assert integer_network.run(network, inputs).logits.tolist() == [[expected]]


@pytest.mark.parametrize("last", [2**24 - 3, 2**24 - 1])
def test_float32_is_left_where_it_would_round(last):
    # Products reach `last` in magnitude: just below the limit of float32, and beyond it.
    activation = 2**16 - 1
    weights, rest = divmod(last, activation)
    network = linear_network([[weights, 1]], ActivationFormat(bits=16, signed=False, scale=1.0))
    inputs = np.array([activation, rest]).reshape(1, 2, 1, 1)
    assert integer_network.run(network, inputs).logits.tolist() == [[last]]


def wide_skip_network(shape, weight, padding, bias, skip_multiplier, shift):
    """A convolution whose skip connection takes its requantization beyond float64."""
    channels, height, width = shape
    target = ActivationFormat(bits=16, signed=False, scale=1.0)
    return Network(
        name="wide-skip",
        input_shape=shape,
        input_format=target,
        nodes=(
            Conv2d(
                name="conv",
                input=INPUT,
                weight=weight,
                weight_bits=16,
                bias=bias,
                stride=(1, 1),
                padding=padding,
                requantize=Requantize(
                    multiplier=np.ones(channels, int),
                    shift=shift,
                    format=target,
                    skip=INPUT,
                    skip_multiplier=skip_multiplier,
                ),
            ),
            Flatten(name="flatten", input="conv"),
            Linear(
                name="logits",
                input="flatten",
                weight=np.eye(channels * height * width, dtype=int),
                weight_bits=2,
                bias=np.zeros(channels * height * width, int),
                requantize=None,
            ),
        ),
    )


def test_float64_is_left_where_it_would_round():
    # Weights and multipliers of 1, an activation x: x + bias + x*M_skip + 2^40 = total.
    x, shift, result = 2**15 + 1, 41, 2**14
    biases, skip_multipliers = [], []
    # float64 has even numbers alone there, and would round the first one up to the next result.
    for total in (result * 2**shift - 1, result * 2**shift):
        skip_multiplier, bias = divmod(total - 2 ** (shift - 1) - x, x)
        biases.append(bias)
        skip_multipliers.append(skip_multiplier)
    network = wide_skip_network(
        (2, 1, 1),
        np.eye(2, dtype=int).reshape(2, 2, 1, 1),
        (0, 0),
        np.array(biases),
        np.array(skip_multipliers),
        shift,
    )
    inputs = np.full((1, 2, 1, 1), x)
    assert integer_network.logits(network, inputs).tolist() == [[result - 1, result]]


def test_float64_is_left_without_a_skip_connection_too():
    # 3 * accumulator + 2^40 is one short of a result, and two beyond it.
    x, shift, result = 7, 41, 8191
    first, rest = divmod(result * 2**shift - 1 - 2 ** (shift - 1), 3)
    assert rest == 0
    network = wide_skip_network(
        (2, 1, 1),
        np.eye(2, dtype=int).reshape(2, 2, 1, 1),
        (0, 0),
        np.array([first - x, first + 1 - x]),
        np.ones(2, int),
        shift,
    )
    conv, *others = network.nodes
    alone = dataclasses.replace(
        conv.requantize, multiplier=np.full(2, 3), skip=None, skip_multiplier=None
    )
    conv = dataclasses.replace(conv, requantize=alone)
    network = dataclasses.replace(network, nodes=(conv, *others))
    inputs = np.full((1, 2, 1, 1), x)
    assert integer_network.logits(network, inputs).tolist() == [[result - 1, result]]


def test_logits_beyond_float64_equal_the_bit_serial_reference():
    rng = np.random.default_rng(12)
    network = wide_skip_network(
        (3, 4, 5),
        rng.integers(-(2**15), 2**15, (3, 3, 3, 3)),
        (1, 1),
        rng.integers(-(2**30), 2**30, 3),
        rng.integers(2**42, 2**44, 3),
        45,
    )
    inputs = random_inputs(network, rng, 2)
    logits = integer_network.logits(network, inputs)
    np.testing.assert_array_equal(logits, integer_network_reference.run(network, inputs).logits)
    assert len(np.unique(logits)) > 60


def test_equal_logits_give_the_lowest_class():
    network = linear_network([[1], [3], [3]], ActivationFormat(bits=4, signed=True, scale=1.0))
    trace = integer_network.run(network, np.array([2, 0, -1]).reshape(3, 1, 1, 1))
    assert trace.classes.tolist() == [1, 0, 0]


@pytest.mark.parametrize("threads", [1, 3])
def test_logits_in_small_batches_equal_the_trace(monkeypatch, threads):
    monkeypatch.setattr(integer_network, "BATCH", 4)
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(9), 30)
    logits = integer_network.logits(network, inputs, threads=threads)
    np.testing.assert_array_equal(logits, integer_network.run(network, inputs).logits)
    assert logits.dtype == np.int64


@pytest.mark.parametrize(
    ("images", "threads", "sizes"),
    [(30, 3, [10, 10, 10]), (10, 3, [4, 4, 2]), (2, 3, [1, 1]), (150, 2, [64, 64, 22])],
)
def test_images_are_spread_over_threads(monkeypatch, images, threads, sizes):
    seen = []

    def record(network, inputs):
        seen.append(len(inputs))
        return inputs[:, :, 0, 0]

    monkeypatch.setattr(integer_network, "_logits", record)
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(2), images)
    logits = integer_network.logits(network, inputs, threads=threads)
    assert sorted(seen, reverse=True) == sizes
    np.testing.assert_array_equal(logits, inputs[:, :, 0, 0])


def test_convolution_in_small_parts_equals_one_part(monkeypatch):
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(5), 7)
    whole = integer_network.run(network, inputs)
    # 8 positions of 72 rows of 7 images in float32 are 16128 bytes: two rows of the output a part.
    monkeypatch.setattr(integer_network, "UNROLLED_BYTES", 40_000)
    assert_same(whole.accumulators, integer_network.run(network, inputs).accumulators)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 1), (1, 2), (3, 3)])
def test_small_kernels_equal_torchs_convolution(kernel, stride, padding, groups):
    rng = np.random.default_rng([*kernel, *stride, *padding, groups])
    builder = NetworkBuilder(rng, (4, 5, 6), ActivationFormat(bits=4, signed=True, scale=1.0))
    builder.conv(6, kernel, stride, padding, groups=groups)
    network = builder.network(classes=2)
    inputs = random_inputs(network, rng, 3)
    accumulators, _ = torch_run(network, inputs)
    for name, total in integer_network.run(network, inputs).accumulators.items():
        np.testing.assert_array_equal(total, accumulators[name].numpy())
        assert total.dtype == np.int64
    logits = integer_network.logits(network, inputs)
    np.testing.assert_array_equal(logits, accumulators[network.nodes[-1].name].numpy())


def test_order_of_windows_by_hand():
    images = np.arange(2 * 2 * 3 * 3).reshape(2, 2, 3, 3)
    windows = WindowMatrix(images, kernel=(2, 2), stride=(1, 1), padding=(0, 0))
    assert windows[1:3, 6:].tolist() == [[13, 14], [15, 16]]
    assert windows.row(3).tolist() == [[[4, 5], [7, 8]], [[22, 23], [25, 26]]]
    matrix = np.asarray(windows)
    assert matrix.shape == (8, 8)
    # First image, output (0, 1); then the second image's first vector.
    assert matrix[1].tolist() == [1, 2, 4, 5, 10, 11, 13, 14]
    assert matrix[4].tolist() == [18, 19, 21, 22, 27, 28, 30, 31]


def test_inputs_must_suit_the_network():
    network = digits_like_network()
    good = random_inputs(network, np.random.default_rng(6), 1)
    for bad, message in [
        (good / 2, "network digits-like: inputs are float64, they must be integers"),
        (
            good[:, :, :5],
            "network digits-like: inputs have shape (1, 1, 5, 8), they must be (N, 1, 8, 8) "
            "with at least one image",
        ),
        (
            np.where(np.arange(64).reshape(8, 8) == 9, 8, np.zeros_like(good)),
            "network digits-like: inputs span 0 to 8, their format -8 to 7",
        ),
    ]:
        with pytest.raises(NetworkError) as error:
            integer_network.run(network, bad)
        assert str(error.value) == message


def test_weights_of_a_precision_between_hardware_widths_run_at_the_next():
    network = linear_network(
        [[-4, 3]], ActivationFormat(bits=3, signed=False, scale=1.0), weight_bits=3
    )
    assert network["logits"].hardware_weight_bits == 4
    inputs = np.array([5, 7]).reshape(1, 2, 1, 1)
    slow = integer_network_reference.run(network, inputs)
    assert slow.logits.tolist() == [[-20 + 21]]
    wider = dataclasses.replace(network.nodes[-1], weight_bits=16)
    replaced = dataclasses.replace(network, nodes=(network.nodes[0], wider))
    assert integer_network_reference.run(replaced, inputs).logits.tolist() == [[1]]


def test_accumulators_can_come_from_elsewhere():
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(8), 2)

    def far_too_much_in_conv2(network, name, layer_input):
        return integer_network.accumulate(network, name, layer_input) + (name == "conv2") * 2**12

    trace = integer_network.run(network, inputs, compute=far_too_much_in_conv2)
    plain = integer_network.run(network, inputs)
    np.testing.assert_array_equal(trace.outputs["conv1"], plain.outputs["conv1"])
    assert (trace.outputs["conv2"] == network.formats["conv2"].hi).all()
    # Later nodes are computed from these outputs.
    np.testing.assert_array_equal(
        trace.accumulators["conv3"],
        integer_network.accumulate(network, "conv3", trace.outputs["conv2"]),
    )
