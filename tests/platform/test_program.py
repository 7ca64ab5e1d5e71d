"""Programs of the platform: what they compute, against the integer network."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adq.golden.artifact import read_artifact
from adq.golden.conversion import converted
from adq.golden.integer_network import run
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    Concat,
    Conv2d,
    Gather,
    MaxPool2d,
    Network,
    Requantize,
)
from adq.golden.platform.emission import emit
from adq.golden.platform.host import run_and_compare
from adq.golden.platform.planning.layout import Layout
from adq.golden.platform.planning.planner import plan
from adq.golden.platform.planning.steps import PlanError
from adq.golden.platform.program import Program
from adq.golden.samples import Artifact, Samples
from adq.rtl.platform.parameters import PlatformParameters
from tests.golden_networks import NetworkBuilder, digits_like_network, random_inputs

pytestmark = pytest.mark.testpoint("platform.program")

TILE = PlatformParameters()
SMALL = {"rows": 16, "columns": 16, "accumulator_vectors": 16, "accumulator_bits": 64}
SIZES = [
    PlatformParameters(**SMALL),
    PlatformParameters(**SMALL, stack=3, tile_columns=2),
    PlatformParameters(**SMALL, stack=2, tile_columns=1, clusters=3),
    PlatformParameters(**SMALL | {"rows": 64, "columns": 48}, clusters=2),
]


def assert_equal(network, inputs, platform, batch=4):
    """Run a network's program, and hold every integer against the integer network."""
    expected = run(network, inputs)
    program = emit(plan(network, platform, batch=batch), len(inputs))
    program = Program.from_bytes(program.to_bytes(), "program")
    outputs, compared = run_and_compare(network, program, inputs, expected)
    assert {name: each.differing for name, each in compared.items() if each.differing} == {}
    first = network.outputs[0]
    np.testing.assert_array_equal(outputs[first], expected.logits)
    assert outputs.keys() == set(network.outputs)
    return compared


def narrow(network, inputs):
    """Give a network skip multipliers of 16 bits."""
    artifact = Artifact(
        network=network,
        samples=Samples.record(network, inputs, None),
        generator={"name": "test", "version": "1"},
    )
    return converted(artifact).artifact.network


@pytest.mark.parametrize("name", ["digits/mixed", "digits/16bit", "resnet8"])
@pytest.mark.parametrize(
    "platform",
    [TILE, PlatformParameters(stack=3, tile_columns=2, clusters=2)],
    ids=["one tile", "12 tiles"],
)
def test_checked_in_networks(name, platform):
    artifact = converted(read_artifact(f"golden/vectors/{name}")).artifact
    network = artifact.network
    compared = assert_equal(network, artifact.samples.inputs, platform)
    # Every node that computes anything was compared, on every integer it has.
    images = len(artifact.samples)
    for node in network.accumulating:
        size = int(np.prod(network.shapes[node])) * images
        assert compared[node].integers >= 2 * size


def vgg_like(widths=(24, 24, "M", 40, 40, "M", 70, 70, 70)):
    """Convolutions of 3x3 of 2 to 5 bits with pooling between them, as VGG9 has them."""
    rng = np.random.default_rng(4)
    builder = NetworkBuilder(rng, (3, 16, 16), ActivationFormat(bits=8, signed=False, scale=1.0))
    for place, outputs in enumerate(widths):
        if outputs == "M":
            builder.max_pool((2, 2), (2, 2), (0, 0))
            continue
        builder.conv(outputs, (3, 3), (1, 1), (1, 1))
        node = builder.nodes[-1]
        bits = 2 + place % 4
        target = ActivationFormat(bits=bits, signed=False, scale=1.0)
        size = node.weight[0].size * builder.formats[node.input].hi << node.weight_bits - 1
        requantize = Requantize(multiplier=rng.integers(2**14, 2**15, outputs),
                                shift=size.bit_length() + 11 - bits, format=target)  # fmt: skip
        builder.nodes[-1] = dataclasses.replace(node, requantize=requantize)
        builder.formats[node.name] = target
    return builder.network(10)


@pytest.mark.parametrize("tiles", [1, 6], ids=["one tile", "6 tiles"])
def test_a_network_like_vgg9(tiles):
    network = vgg_like()
    inputs = random_inputs(network, np.random.default_rng(7), 3)
    stack = {"stack": 3, "tile_columns": 2} if tiles == 6 else {}
    platform = PlatformParameters(plane_memory_kib=32, **stack)
    assert_equal(network, inputs, platform)
    # Activations are not all the same: an integer that is off shows.
    for name, values in run(network, inputs).outputs.items():
        if not name.startswith("flatten"):
            assert len(np.unique(values)) >= 2, name


@st.composite
def cases(draw):
    """Networks of everything that the platform has, with images and a platform."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.sampled_from([1, 2, 3, 9, 17, 40])), *(draw(st.integers(1, 7)) for _ in "hw"))
    source = ActivationFormat(bits=draw(st.integers(1, 8)), signed=draw(st.booleans()), scale=1.0)
    builder = NetworkBuilder(rng, shape, source, with_offsets=True)
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kinds = ("conv", "conv", "depthwise", "residual", "rescale", "max_pool", "average_pool",
             "concat", "lookup")  # fmt: skip
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        channels, kernel, stride = builder.shapes[builder.last][0], draw(pairs), draw(pairs)
        padding, dilation = (0, 0), (1, 1)
        if kind in ("conv", "depthwise"):
            dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
            padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 2)))
        elif kind == "max_pool":
            padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
        slides = kind in ("conv", "depthwise", "max_pool", "average_pool")
        if kind == "lookup" and builder.formats[builder.last].bits > TILE.table_planes:
            continue
        if slides and min(builder.slide(kernel, stride, padding, dilation)) < 1:
            continue
        if kind == "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            outputs = groups * draw(st.sampled_from([1, 3, 8, 20]))
            builder.conv(outputs, kernel, stride, padding, groups=groups, dilation=dilation)
        elif kind == "depthwise":
            builder.conv(channels, kernel, stride, padding, groups=channels, dilation=dilation)
        elif kind == "rescale":
            shapes = builder.shapes
            before = [name for name, each in shapes.items() if each == shapes[builder.last]]
            builder.rescale(draw(st.sampled_from([None, *before])))
        elif kind == "max_pool":
            builder.max_pool(kernel, stride, padding)
        elif kind == "average_pool":
            builder.average_pool(kernel, stride)
        else:
            getattr(builder, kind)()
    end = draw(st.sampled_from(["network", "pixels", "activations"]))
    if end == "activations" and builder.nodes:
        network = builder.activations()
    else:
        network = getattr(builder, "pixels" if end == "pixels" else "network")(classes=3)
    inputs = random_inputs(network, rng, draw(st.integers(1, 5)))
    return narrow(network, inputs), inputs, draw(st.sampled_from(SIZES)), draw(st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_random_networks_on_random_platforms(case):
    network, inputs, platform, batch = case
    assert_equal(network, inputs, platform, batch)


def test_images_go_through_in_parts_that_memory_holds():
    network = digits_like_network(4)
    inputs = random_inputs(network, np.random.default_rng(1), 16)
    wide = plan(network, TILE, batch=8)
    assert {each.images for each in wide.steps} == {8}
    tight = dataclasses.replace(TILE, plane_memory_kib=5)
    made = plan(network, tight, batch=8)
    segments = [each.images for each in made.steps]
    assert segments == sorted(segments)
    assert segments[0] < segments[-1]
    assert made.memory_words <= tight.plane_memory_words
    assert_equal(network, inputs, tight, batch=8)


def test_images_are_loaded_ahead_where_there_is_room():
    network = digits_like_network(8)
    inputs = random_inputs(network, np.random.default_rng(2), 12)
    kinds = set()
    for kib in (3, 4, 5, 6, 8, 256):
        platform = dataclasses.replace(TILE, plane_memory_kib=kib)
        kinds.add(plan(network, platform, batch=4).when)
        assert_equal(network, inputs, platform, batch=4)
    assert kinds == {0, 2}


def test_a_network_that_no_plane_memory_holds_says_what_would_fit():
    network = digits_like_network(16)
    with pytest.raises(PlanError) as error:
        plan(network, dataclasses.replace(TILE, plane_memory_kib=2))
    text = str(error.value)
    needed = int(text.rsplit(":", 1)[1].split()[0])
    assert f"the platform has plane_memory_kib of 2: {needed} would fit" in text
    assert plan(network, dataclasses.replace(TILE, plane_memory_kib=needed)).batch == 1
    with pytest.raises(PlanError):
        plan(network, dataclasses.replace(TILE, plane_memory_kib=needed - 1))


def test_a_table_of_more_integers_than_the_platform_holds_is_refused():
    for bits in (8, 9):
        source = ActivationFormat(bits=bits, signed=False, scale=1.0)
        builder = NetworkBuilder(np.random.default_rng(1), (2, 3, 3), source)
        builder.lookup()
        network = builder.network(classes=3)
        if bits == 8:
            assert plan(network, TILE, batch=1)
            continue
        with pytest.raises(PlanError, match="a table of integers of 9 bits: the platform takes up"):
            plan(network, TILE, batch=1)


def test_more_images_than_a_pass():
    network = digits_like_network(2)
    inputs = random_inputs(network, np.random.default_rng(3), 11)
    program = emit(plan(network, TILE, batch=4), 11)
    assert program.images == 12
    assert_equal(network, inputs, TILE)


def dense_block(growth=20, first=40):
    """Concatenations inside of concatenations, as densely connected networks have them."""
    rng = np.random.default_rng(5)
    target = ActivationFormat(bits=3, signed=False, scale=1.0)

    def conv(name, source, inputs, outputs):
        return Conv2d(
            name=name, input=source, weight=rng.integers(-2, 2, (outputs, inputs, 3, 3)),
            weight_bits=2, bias=rng.integers(-9, 9, outputs), stride=(1, 1), padding=(1, 1),
            requantize=Requantize(multiplier=rng.integers(1, 99, outputs), shift=10,
                                  format=target),
        )  # fmt: skip

    nodes = [conv("stem", INPUT, 3, first)]
    last, channels = "stem", first
    for index in range(3):
        nodes.append(conv(f"new{index}", last, channels, growth))
        nodes.append(Concat(name=f"all{index}", input=last, others=(f"new{index}",)))
        last, channels = f"all{index}", channels + growth
    source = ActivationFormat(bits=4, signed=False, scale=1.0)
    return Network(name="dense", input_shape=(3, 6, 6), input_format=source, nodes=tuple(nodes))


@pytest.mark.parametrize("platform", [TILE, SIZES[1]], ids=["wide", "narrow"])
def test_concatenations_are_written_in_place(platform):
    network = dense_block()
    made = plan(network, platform)
    assert [each.step.node for each in made.steps] == ["stem", "new0", "new1", "new2"]
    assert_equal(network, random_inputs(network, np.random.default_rng(6), 2), platform)


@pytest.mark.parametrize("signed", [False, True])
def test_padding_never_wins_a_pooling(signed):
    # Every activation is -8, or 0 where it has no sign: padding of 0 would win.
    target = ActivationFormat(bits=4, signed=signed, scale=1.0)
    nodes = (
        Conv2d(name="conv", input=INPUT, weight=np.full((3, 2, 1, 1), -1), weight_bits=2,
               bias=np.zeros(3, int), stride=(1, 1), padding=(0, 0),
               requantize=Requantize(multiplier=np.ones(3, int), shift=0, format=target)),
        MaxPool2d(name="pool", input="conv", kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    )  # fmt: skip
    source = ActivationFormat(bits=4, signed=False, scale=1.0)
    network = Network(name="net", input_shape=(2, 5, 5), input_format=source, nodes=nodes)
    inputs = np.full((2, 2, 5, 5), 15)
    outputs = run(network, inputs).outputs["pool"]
    assert set(outputs.ravel().tolist()) == {target.lo}
    assert_equal(network, inputs, TILE)


SELECTIONS = {
    "shuffled": (np.arange(12).reshape(3, 4).T.ravel(), range(6), range(5)),
    "repeated channels": ([5, 5, 0, 11, 5], range(6), range(5)),
    "half": ([*range(12), -1, -1, -1, -1], [0, 2, 4], [0, 2, 4]),
    "half from the second": (range(12), [1, 3, 5], [1, 3]),
    "cropped": ([3], [2, 3], [1, 2, 3, 4]),
    "padded": (range(12), [-1, -1, *range(6), -1], [*range(5), -1, -1, -1]),
    "padded and apart": (range(12), [-1, 0, 3, -1], [-1, 1, 4, -1]),
    "one row": (range(12), [4], [-1, -1, 2]),
    "last row of three": (range(12), [-1, -1, 0], [4, -1]),
}


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("platform", [TILE, SIZES[1]], ids=["wide", "narrow"])
@pytest.mark.parametrize("signed", [False, True])
def test_selections(name, platform, signed):
    channels, rows, columns = (np.array(axis, np.int32) for axis in SELECTIONS[name])
    rng = np.random.default_rng(len(name))
    target = ActivationFormat(bits=3, signed=signed, scale=1.0)

    def conv(name, source, inputs, outputs):
        requantize = Requantize(multiplier=rng.integers(1, 99, outputs), shift=9, format=target)
        return Conv2d(name=name, input=source, weight=rng.integers(-2, 2, (outputs, inputs, 3, 3)),
                      weight_bits=2, bias=rng.integers(-9, 9, outputs), stride=(1, 1),
                      padding=(1, 1), requantize=requantize)  # fmt: skip

    def select(name, source):
        return Gather(name=name, input=source, channels=channels, rows=rows, columns=columns)

    nodes = (
        select("images", INPUT),
        conv("first", "images", len(channels), 12),
        conv("other", INPUT, 12, 12),
        select("inside", "other"),
        Concat(name="both", input="inside", others=("first",)),
        conv("last", "both", len(channels) + 12, 7),
    )
    network = Network(name="net", input_shape=(12, 6, 5), input_format=target, nodes=nodes)
    assert_equal(network, random_inputs(network, rng, 3), platform)


@pytest.mark.parametrize(
    "rows", [[0, 0, 1, 1], [2, 1, 0], [0, 1, 3], [-1, 1, -1, 3], [0, -1, 2], [-1, -1]]
)
def test_rows_at_other_distances_are_refused(rows):
    image = ActivationFormat(bits=3, signed=False, scale=1.0)
    node = Gather(
        name="some", input=INPUT, channels=np.arange(2), rows=np.array(rows), columns=np.arange(4)
    )
    network = Network(name="net", input_shape=(2, 4, 4), input_format=image, nodes=(node,))
    with pytest.raises(PlanError, match="some: the platform selects rows and columns of input at"):
        plan(network, TILE)


def test_what_has_no_form_is_refused():
    builder = NetworkBuilder(
        np.random.default_rng(0), (2, 4, 4), ActivationFormat(bits=4, signed=True, scale=1.0)
    )
    builder.conv(4, (3, 3), (1, 1), (1, 1))
    builder.multiply(gate=False)
    with pytest.raises(PlanError, match=r"^multiply1: the platform has no Multiply of conv0: "):
        plan(builder.network(3), TILE)


def test_wide_skip_multipliers_are_refused_with_the_command_that_helps():
    artifact = read_artifact("golden/vectors/resnet8")
    with pytest.raises(PlanError, match="write it anew with adq convert, or export it again"):
        plan(artifact.network, TILE)


def test_accumulators_wider_than_the_platforms_are_refused():
    network = digits_like_network(16)
    needed = max(network.accumulator_bits(name) for name in network.accumulating)
    assert plan(network, dataclasses.replace(TILE, accumulator_bits=needed))
    with pytest.raises(PlanError, match=f"needs {needed} bits, the platform has accumulator_bits"):
        plan(network, dataclasses.replace(TILE, accumulator_bits=needed - 1))


def test_a_pooling_window_larger_than_the_accumulators_is_refused():
    builder = NetworkBuilder(
        np.random.default_rng(0), (2, 20, 20), ActivationFormat(bits=2, signed=False, scale=1.0)
    )
    builder.conv(4, (3, 3), (1, 1), (1, 1))
    builder.max_pool((20, 20), (20, 20), (0, 0))
    with pytest.raises(PlanError, match="a pooling window of 400 pixels needs accumulator_vectors"):
        plan(builder.network(3), TILE)


def test_a_stride_that_no_descriptor_holds_is_refused():
    source = ActivationFormat(bits=2, signed=False, scale=1.0)
    node = Conv2d(name="conv", input=INPUT, weight=np.ones((1, 1, 1, 1), int), weight_bits=2,
                  bias=np.zeros(1, int), stride=(64, 1), padding=(0, 0),
                  requantize=None)  # fmt: skip
    network = Network(name="net", input_shape=(1, 2, 2), input_format=source, nodes=(node,))
    with pytest.raises(PlanError, match="conv: stride y of 64: a descriptor holds at most 63"):
        plan(network, TILE)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    word=st.sampled_from([16, 64]),
    sides=st.tuples(*[st.integers(1, 40), st.integers(1, 5), st.integers(1, 9)]),
    planes=st.integers(1, 16),
    signed=st.booleans(),
)
def test_a_tensor_survives_the_plane_memory(seed, word, sides, planes, signed):
    channels, height, width = sides
    layout = Layout(word_bits=word, channels=channels, height=height, width=width, planes=planes,
                    signed=signed)  # fmt: skip
    least = -(1 << (planes - 1)) if signed else 0
    tensor = np.random.default_rng(seed).integers(least, least + (1 << planes), (2, *sides))
    words = layout.pack(tensor)
    assert words.shape == (2, layout.image_words, word // 8)
    np.testing.assert_array_equal(layout.unpack(words), tensor)


def test_a_layout_by_hand():
    # Three channels take four bits: pixels of a row of five are 20 bits, two words of 16.
    layout = Layout(word_bits=16, channels=3, height=1, width=5, planes=2, signed=False)
    tensor = np.zeros((1, 3, 1, 5), dtype=int)
    tensor[0, 1, 0, 2] = 2  # channel 1 of pixel 2: bit 9 of plane 1
    tensor[0, 2, 0, 4] = 1  # channel 2 of pixel 4: bit 18 of plane 0
    words = layout.pack(tensor)[0].view("<u2").ravel().tolist()
    assert words == [0, 1 << 2, 1 << 9, 0]
