import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from adq.golden.formats import integers
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    NetworkError,
    Requantize,
    hardware_weight_bits,
)

pytestmark = pytest.mark.testpoint("numbers.widths")

FORMAT = ActivationFormat(bits=4, signed=False, scale=0.5)


def requantize(channels=4, **changes):
    fields = {"multiplier": np.ones(channels, int), "shift": 3, "format": FORMAT}
    return Requantize(**fields | changes)


def conv(name="conv", **changes):
    fields = {
        "name": name,
        "input": INPUT,
        "weight": np.ones((4, 2, 3, 3), int),
        "weight_bits": 3,
        "bias": np.zeros(4, int),
        "stride": (2, 1),
        "padding": (1, 0),
        "requantize": requantize(),
    }
    return Conv2d(**fields | changes)


def same_conv(name, input, **changes):
    changes = {"weight": np.ones((4, 4, 3, 3), int), "stride": (1, 1), "padding": (1, 1)} | changes
    return conv(name, input=input, **changes)


def linear(name="linear", **changes):
    fields = {
        "name": name,
        "input": "flatten",
        "weight": np.ones((10, 16), int),
        "weight_bits": 2,
        "bias": np.zeros(10, int),
        "requantize": None,
    }
    return Linear(**fields | changes)


FLATTEN = Flatten(name="flatten", input="conv")


def network(*nodes, **changes):
    fields = {
        "name": "net",
        "input_shape": (2, 4, 4),
        "input_format": ActivationFormat(bits=5, signed=True, scale=0.1),
        "nodes": nodes or (conv(), FLATTEN, linear()),
    }
    return Network(**fields | changes)


def test_shapes_formats_and_macs():
    net = network()
    assert net.shapes == {"input": (2, 4, 4), "conv": (4, 2, 2), "flatten": (16,), "linear": (10,)}
    assert net.formats == {"input": net.input_format, "conv": FORMAT, "flatten": FORMAT}
    assert [layer.name for layer in net.matrix_layers] == ["conv", "linear"]
    assert net.macs("conv") == 4 * 2 * 2 * 2 * 9
    assert net.macs("linear") == 160
    # 18 weights of 1, inputs down to -16.
    assert net.product_bounds("conv") == [18 * 16] * 4


def test_vgg19_has_the_macs_of_the_paper():
    widths = [64] * 2 + [0] + [128] * 2 + [0] + ([256] * 4 + [0]) + ([512] * 4 + [0]) * 2
    nodes, channels, last = [], 3, INPUT
    for index, width in enumerate(widths):
        name = f"node{index}"
        if width:
            nodes.append(
                same_conv(
                    name,
                    last,
                    weight=np.ones((width, channels, 3, 3), np.int8),
                    bias=np.zeros(width, int),
                    requantize=requantize(width),
                )
            )
            channels = width
        else:
            pool = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}
            nodes.append(MaxPool2d(name=name, input=last, **pool))
        last = name
    nodes.append(Flatten(name="flatten", input=last))
    nodes.append(linear(weight=np.ones((10, 512), int)))
    net = network(*nodes, input_shape=(3, 32, 32))
    assert sum(net.macs(layer.name) for layer in net.matrix_layers) == 398_136_320


@pytest.mark.parametrize(
    ("bits", "signed", "lo", "hi", "dtype"),
    [
        (1, False, 0, 1, "uint8"),
        (1, True, -1, 0, "int8"),
        (8, True, -128, 127, "int8"),
        (9, True, -256, 255, "int16"),
        (8, False, 0, 255, "uint8"),
        (16, False, 0, 65535, "uint16"),
    ],
)
def test_activation_format(bits, signed, lo, hi, dtype):
    target = ActivationFormat(bits=bits, signed=signed, scale=1.0)
    assert (target.lo, target.hi, target.dtype) == (lo, hi, np.dtype(dtype))


def test_hardware_weight_bits():
    assert [hardware_weight_bits(k) for k in range(2, 17)] == [2, 4, 4] + [8] * 4 + [16] * 8
    for bits in (1, 17):
        with pytest.raises(NetworkError, match=f"weights of {bits} bits"):
            hardware_weight_bits(bits)


def test_arrays_belong_to_the_network():
    weight = np.ones((10, 16), dtype=np.int64)
    layer = linear(weight=weight)
    weight[:] = 0
    assert layer.weight.all()
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0, 0] = 0


def raises(message):
    return pytest.raises(NetworkError, match=message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.full((4, 2, 3, 3), 4)}, "conv: weight spans 4 to 4, which 3 bits do not"),
        ({"weight": np.full((4, 2, 3, 3), -5)}, "conv: weight spans -5 to -5, which 3 bits"),
        ({"weight": np.ones((4, 2, 3, 3))}, "conv: weight is float64: it must be of integers"),
        ({"weight": np.ones((4, 18), int)}, r"conv: weight has shape \(4, 18\): it must have 4"),
        ({"weight": np.ones((0, 2, 3, 3), int)}, "none of them 0"),
        ({"weight_bits": 17}, "conv: weights of 17 bits: they have 2 to 16 bits"),
        ({"bias": np.zeros(3, int)}, "conv: bias has 3 outputs, weight 4"),
        ({"bias": np.full(4, 2**63, np.uint64)}, "conv: bias spans .* which int64 does not hold"),
        ({"density": 1.5}, "conv: density 1.5 must lie between 0 and 1"),
        ({"stride": (0, 1)}, r"conv: stride \(0, 1\) must be a pair of integers, each at least 1"),
        ({"padding": 1}, "conv: padding 1 must be a pair of integers, each at least 0"),
    ],
)
def test_wrong_convolution(changes, message):
    with raises(message):
        conv(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"multiplier": np.full(4, 2**15)}, "multiplier spans 32768 to 32768, which int16"),
        ({"shift": 63}, "shift 63: it must be 0 to 62"),
        ({"shift": -1}, "shift -1: it must be 0 to 62"),
        ({"skip": "conv"}, "a skip connection and its multiplier go together"),
        ({"skip": "conv", "skip_multiplier": np.ones(3, int)}, "skip multiplier has 3 channels"),
    ],
)
def test_wrong_requantize(changes, message):
    with raises(message):
        requantize(**changes)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_wrong_scale(scale):
    with raises("it must be a positive number"):
        ActivationFormat(bits=4, signed=False, scale=scale)


@pytest.mark.parametrize("bits", [0, 17])
def test_wrong_activation_bits(bits):
    with raises(rf"^activations of {bits} bits: they have 1 to 16 bits$"):
        ActivationFormat(bits=bits, signed=True, scale=1.0)


def test_arrays_are_checked_by_dtype_shape_and_range():
    array = integers(np.asfortranarray([[-128, 127], [0, 1]]), np.int8, 2, "table")
    assert (array.dtype, array.tolist()) == (np.int8, [[-128, 127], [0, 1]])
    assert array.flags.c_contiguous
    assert not array.flags.writeable
    assert integers([[3]], np.int8, 2, "table").tolist() == [[3]]
    for wrong, message in (
        ([0.5], "table is float64: it must be of integers"),
        ([1], "table has shape (1,): it must have 2 dimensions, none of them 0"),
        ([[128]], "table spans 128 to 128, which int8 does not hold"),
        ([[-129, 5]], "table spans -129 to 5, which int8 does not hold"),
    ):
        with pytest.raises(NetworkError) as error:
            integers(np.array(wrong), np.int8, 2, "table")
        assert str(error.value) == message
    with raises(r"^table has shape \(0, 2\): it must have 2 dimensions, none of them 0$"):
        integers(np.zeros((0, 2), int), np.int8, 2, "table")


def test_wrong_pool_padding():
    with raises(r"pool: padding \(1, 0\) is more than half of the kernel \(1, 2\)"):
        MaxPool2d(name="pool", input=INPUT, kernel=(1, 2), stride=(1, 1), padding=(1, 0))


def pool(name="pool", input="conv", kernel=(2, 2)):
    return MaxPool2d(name=name, input=input, kernel=kernel, stride=(2, 2), padding=(0, 0))


WRONG_GRAPHS = [
    ((), "a network has at least one node"),
    ((conv("input"), FLATTEN, linear()), "the name input is used twice"),
    ((conv(), conv(), FLATTEN, linear()), "the name conv is used twice"),
    ((conv("a/b"), FLATTEN, linear()), "node name 'a/b': letters, digits"),
    ((conv(input="nobody"), FLATTEN, linear()), "conv reads 'nobody', which no node produces"),
    ((conv(input="flatten"), FLATTEN, linear()), "conv reads flatten, which comes after it"),
    ((conv(input="conv"), FLATTEN, linear()), "conv reads conv, which comes after it"),
    ((conv(requantize=None), FLATTEN, linear()), "conv must requantize: only an output leaves"),
    (
        (conv(requantize=requantize(3)), FLATTEN, linear()),
        "conv: multiplier has 3 channels, the node 4",
    ),
    (
        (conv(weight=np.ones((4, 3, 3, 3), int)), FLATTEN, linear()),
        "conv has weights for 3 channels, but input has 2",
    ),
    ((conv(padding=(0, 0), weight=np.ones((4, 2, 5, 3), int)), FLATTEN, linear()), "does not fit"),
    ((conv(), pool(kernel=(3, 3)), FLATTEN, linear()), r"pool: a kernel of \(3, 3\) does not fit"),
    ((conv(), linear(input="conv")), r"linear has weights for 16 inputs, but conv has shape"),
    ((conv(), FLATTEN, pool(input="flatten"), linear()), "pool takes images .* has shape"),
    (
        (
            conv(),
            conv("next", input="conv", weight=np.ones((4, 4, 1, 1), int), stride=(2, 2),
                 requantize=requantize(skip="conv", skip_multiplier=np.ones(4, int))),
            dataclasses.replace(FLATTEN, input="next"),
            linear(weight=np.ones((10, 8), int)),
        ),
        r"next: the skip connection conv has shape \(4, 2, 2\), the node \(4, 2, 1\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "message"), WRONG_GRAPHS)
def test_wrong_graph(nodes, message):
    fields = {"input_shape": (2, 4, 4), "input_format": FORMAT}
    with raises(message):
        Network(name="net", nodes=nodes, **fields)


def widths(bias=0, multiplier=1, shift=0, **skip):
    """One convolution whose worst case is 18 * 16 + |bias|, requantized with the arguments."""
    parameters = requantize(multiplier=np.full(4, multiplier), shift=shift, **skip)
    return network(conv(bias=np.full(4, bias), requantize=parameters), FLATTEN, linear())


def test_requantization_that_could_overflow_is_refused():
    # (288 + bias) * 2^14 + 2^(S-1) just fits, and just does not.
    most = (2**63 - 1 - 2**10) // 2**14 - 288
    widths(bias=most, multiplier=2**14, shift=11)
    with raises("conv: bias and requantization can reach .* beyond int64"):
        widths(bias=most + 1, multiplier=2**14, shift=11)
    with raises("beyond int64"):
        widths(bias=most, multiplier=2**14, shift=47)


def test_a_skip_shift_that_could_overflow_is_refused():
    def residual(shift):
        skip = requantize(multiplier=np.zeros(4, int), skip="conv", skip_shift=shift,
                          skip_multiplier=np.full(4, 2**14))  # fmt: skip
        nodes = (
            conv(),
            same_conv("join", "conv", requantize=skip),
            dataclasses.replace(FLATTEN, input="join"),
        )
        return network(*nodes, linear())

    # The skip reaches 15 < 2^4: 2^4 * 2^14 * 2^45 = 2^63.
    residual(45)
    with raises("join: bias and requantization can reach"):
        residual(46)


@pytest.mark.parametrize(
    ("weights", "bias", "bits", "signed", "expected"),
    [
        # 3 * 15 = 45 upwards, 2 * 15 = 30 downwards.
        ([3, -2], 0, 4, False, 7),
        ([3, -2], 18, 4, False, 7),
        ([3, -2], 19, 4, False, 8),
        ([3, -2], -34, 4, False, 7),
        ([3, -2], -35, 4, False, 8),
        # -8 to 7: 3 * 7 + 2 * 8 = 37, -(3 * 8 + 2 * 7) = -38.
        ([3, -2], 0, 4, True, 7),
        ([1, 0], 0, 1, False, 2),
        ([-1, 0], 0, 1, False, 1),
        ([0, 0], 0, 16, True, 1),
        ([-(2**15), -(2**15)], 0, 16, True, 33),
        ([-(2**15), -(2**15) + 1], 0, 16, True, 32),
    ],
)
def test_width_of_an_accumulator_by_hand(weights, bias, bits, signed, expected):
    layer = Linear(name="linear", input=INPUT, weight=np.array([weights]), weight_bits=16,
                   bias=np.array([bias]), requantize=None)  # fmt: skip
    source = ActivationFormat(bits=bits, signed=signed, scale=1.0)
    net = Network(name="net", input_shape=(2,), input_format=source, nodes=(layer,))
    assert net.accumulator_bits("linear") == expected


@pytest.mark.parametrize(("signed", "expected"), [(False, 7), (True, 6)])
def test_width_of_an_average_by_hand(signed, expected):
    # 4 * 15 = 60, and 4 * -8 = -32.
    source = ActivationFormat(bits=4, signed=signed, scale=1.0)
    pool = AveragePool2d(name="average", input=INPUT, kernel=(2, 2), stride=(2, 2),
                         requantize=requantize(multiplier=np.ones(1, int)))  # fmt: skip
    net = Network(name="net", input_shape=(1, 2, 2), input_format=source, nodes=(pool,))
    assert net.accumulator_bits("average") == expected


def test_skip_connection_that_could_overflow_is_refused():
    def residual(multiplier):
        skip = requantize(multiplier=np.zeros(4, int), skip="conv",
                          skip_multiplier=np.full(4, multiplier))  # fmt: skip
        nodes = (
            conv(),
            same_conv("join", "conv", requantize=skip),
            dataclasses.replace(FLATTEN, input="join"),
        )
        return network(*nodes, linear())

    # The skip reaches 15; rounding of shift 3 adds 4.
    most = (2**63 - 1 - 4) // 15
    residual(-most)
    with raises("join: bias and requantization can reach"):
        residual(-most - 1)


def test_accumulator_that_could_overflow_is_refused():
    with raises("linear: bias and requantization can reach 9223372036854775808, beyond int64"):
        network(conv(), FLATTEN, linear(bias=np.full(10, 2**63 - 240)))


def test_average_pool_counts_its_window():
    average = AveragePool2d(
        name="average", input="conv", kernel=(2, 2), stride=(1, 1), requantize=requantize()
    )
    nodes = (conv(), average, dataclasses.replace(FLATTEN, input="average"))
    net = network(*nodes, linear(weight=np.ones((10, 4), int)))
    assert net.product_bounds("average") == [4 * 15] * 4


def test_products_beyond_exact_float64_are_refused():
    # Each of 2^23 rows reaches -2^15 times -2^15: together 2^53, one row less is still exact.
    wide = ActivationFormat(bits=16, signed=True, scale=1.0)

    def wide_network(rows):
        layer = linear(weight=np.full((1, rows), -(2**15)), weight_bits=16, bias=np.zeros(1, int))
        nodes = (dataclasses.replace(FLATTEN, input=INPUT), layer)
        return network(*nodes, input_shape=(rows, 1, 1), input_format=wide)

    wide_network(2**23 - 1)
    with raises("linear: its products can add up to 9007199254740992, beyond 2\\^53"):
        wide_network(2**23)


def test_golden_needs_neither_training_nor_hardware_libraries():
    script = (
        "import sys, adq.golden.artifact, adq.golden.mapping.mapper;"
        "import adq.golden.integer_network_reference;"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('adq.')};"
        "print({'torch', 'amaranth', 'cocotb'} & sys.modules.keys(), sorted(ours))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set() ['golden', 'rtl']\n"
