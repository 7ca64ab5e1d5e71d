"""Nodes beyond convolutions and pooling: by hand, on disk, and what is wrong with them."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings

from adq.golden import integer_network_reference
from adq.golden.artifact import Artifact, Samples, read_artifact, verify_artifact, write_artifact
from adq.golden.integer_network import logits, run
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    Multiply,
    Network,
    NetworkError,
    Requantize,
    Rescale,
    Reshape,
)
from tests.golden_networks import networks

pytestmark = pytest.mark.testpoint("numbers.network")

BYTE = ActivationFormat(bits=8, signed=False, scale=0.5)
SIGNED = ActivationFormat(bits=4, signed=True, scale=0.25)


def plain(multiplier, shift=0, target=BYTE, **fields):
    return Requantize(multiplier=np.array(multiplier), shift=shift, format=target, **fields)


def network(*nodes, shape=(2, 2, 3), source=BYTE, **fields):
    return Network(name="net", input_shape=shape, input_format=source, nodes=nodes, **fields)


IMAGE = np.arange(12).reshape(1, 2, 2, 3)


def only_output(net, inputs=IMAGE):
    """Outputs of a network's last node, the same by every implementation here."""
    found = run(net, inputs)
    slow = integer_network_reference.run(net, inputs)
    name = net.nodes[-1].name
    assert found.outputs[name].tolist() == slow.outputs[name].tolist()
    assert (logits(net, inputs) == found.logits).all()
    return found.outputs[name][0].tolist()


def test_gather_crops_repeats_and_pads():
    chosen = {"channels": np.array([1, -1]), "rows": np.array([0, 0]), "columns": np.array([2, 0])}
    net = network(Gather(name="it", input=INPUT, **chosen))
    assert only_output(net) == [[[8, 6], [8, 6]], [[0, 0], [0, 0]]]


def test_gather_chooses_from_vectors():
    gather = Gather(name="it", input=INPUT, channels=np.array([2, -1, 2]), rows=None, columns=None)
    assert only_output(network(gather, shape=(3,)), np.array([[5, 6, 7]])) == [7, 0, 7]


def test_concat_and_reshape():
    nodes = (
        Concat(name="both", input=INPUT, others=(INPUT,)),
        Reshape(name="it", input="both", to=(3, 1, 8)),
    )
    assert only_output(network(*nodes)) == [
        [[0, 1, 2, 3, 4, 5, 6, 7]], [[8, 9, 10, 11, 0, 1, 2, 3]], [[4, 5, 6, 7, 8, 9, 10, 11]],
    ]  # fmt: skip


def test_lookup_starts_at_the_formats_smallest_integer():
    table = np.arange(16) ** 2
    net = network(Lookup(name="it", input=INPUT, table=table, format=BYTE), shape=(3,),
                  source=SIGNED)  # fmt: skip
    assert only_output(net, np.array([[-8, 0, 7]])) == [0, 64, 225]


def test_product_of_a_tensor_and_a_factor_a_channel():
    nodes = (
        Gather(name="first", input=INPUT, channels=np.array([0, 1]), rows=np.array([0]),
               columns=np.array([1])),
        Multiply(name="it", input=INPUT, other="first", requantize=plain([1, 1], shift=1)),
    )  # fmt: skip
    # 1 and 7, halved and rounded half up.
    assert only_output(network(*nodes)) == [
        [[0, 1, 1], [2, 2, 3]], [[21, 25, 28], [32, 35, 39]],
    ]  # fmt: skip


def test_offsets_are_finer_than_a_step():
    requantize = plain([2, 2], shift=2, offset=np.array([1, -5]))
    net = network(Rescale(name="it", input=INPUT, requantize=requantize), shape=(2,))
    # (2*5 + 1 + 2) >> 2, and (2*6 - 5 + 2) >> 2.
    assert only_output(net, np.array([[5, 6]])) == [3, 2]


def test_a_dilated_convolution():
    weight = np.array([[[[1, 1]], [[0, 0]]]])
    conv = Conv2d(name="it", input=INPUT, weight=weight, weight_bits=2, bias=np.zeros(1, int),
                  stride=(1, 1), padding=(0, 0), dilation=(1, 2),
                  requantize=plain([1]))  # fmt: skip
    assert only_output(network(conv)) == [[[2], [8]]]  # 0 + 2, 3 + 5


def head(name, requantize=None):
    return Conv2d(
        name=name, input=INPUT, weight=np.ones((2, 2, 1, 1), int), weight_bits=2,
        bias=np.array([0, 1]), stride=(1, 1), padding=(0, 0), requantize=requantize,
    )  # fmt: skip


def test_two_outputs_one_of_them_activations(tmp_path):
    nodes = (head("logits"), head("activations", plain([1, 1])))
    net = network(*nodes, outputs=("logits", "activations"))
    samples = Samples.record(net, IMAGE, None)
    assert samples.classes.shape == (1, 2, 3)
    assert (samples.classes == 1).all()
    write_artifact(tmp_path / "it", Artifact(network=net, samples=samples,
                                             generator={"name": "t", "version": "1"}))  # fmt: skip
    read = read_artifact(tmp_path / "it")
    assert read.network.outputs == ("logits", "activations")
    assert all(node.agrees for node in verify_artifact(read))
    assert read.samples.outputs.keys() == {"activations"}


def test_a_skip_shift_beside_a_wide_skip_multiplier_comes_back_from_disk(tmp_path):
    """Version 3, in which multipliers of more than 16 bits are written, has no shift."""
    wide = plain([1, 1], shift=17, skip=INPUT, skip_multiplier=np.array([70000, 1]))
    shifted = plain([1, 1], shift=4, skip=INPUT, skip_multiplier=np.array([3, 5]), skip_shift=3)
    nodes = (
        Rescale(name="first", input=INPUT, requantize=wide),
        Rescale(name="it", input="first", requantize=shifted),
    )
    net, inputs = network(*nodes, shape=(2,)), np.array([[5, 6]])
    # (5 + 5*70000 + 2^16) >> 17 = 3 and 0; (3 + (15 << 3) + 8) >> 4, and (0 + (30 << 3) + 8) >> 4.
    assert only_output(net, inputs) == [8, 15]
    samples = Samples.record(net, inputs, None)
    write_artifact(tmp_path / "it", Artifact(network=net, samples=samples,
                                             generator={"name": "t", "version": "1"}))  # fmt: skip
    read = read_artifact(tmp_path / "it")
    assert only_output(read.network, inputs) == [8, 15]
    assert all(node.agrees for node in verify_artifact(read))


@given(networks())
@settings(max_examples=30, deadline=None)
def test_random_networks_come_back_from_disk(tmp_path_factory, case):
    net, inputs = case
    folder = tmp_path_factory.mktemp("random") / "it"
    artifact = Artifact(
        network=net,
        samples=Samples.record(net, inputs, None),
        generator={"name": "t", "version": "1"},
    )
    write_artifact(folder, artifact)
    read = read_artifact(folder)
    for one, other in zip(net.nodes, read.network.nodes, strict=True):
        assert type(one) is type(other)
        for field in dataclasses.fields(one):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            if isinstance(mine, np.ndarray):
                assert np.array_equal(mine, theirs)
            elif not isinstance(mine, Requantize):
                assert mine == theirs
    assert all(node.agrees for node in verify_artifact(read))


def test_version_2_is_read_with_its_last_node_as_output(tmp_path):
    from adq.golden import manifest as manifests

    nodes = (
        Flatten(name="flat", input=INPUT),
        Linear(name="it", input="flat", weight=np.ones((2, 12), int), weight_bits=2,
               bias=np.zeros(2, int), requantize=None),
    )  # fmt: skip
    net = network(*nodes)
    samples = Samples.record(net, IMAGE, np.zeros(1, int))
    write_artifact(tmp_path / "it", Artifact(network=net, samples=samples,
                                             generator={"name": "t", "version": "1"}))  # fmt: skip
    path = tmp_path / "it" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    assert manifest["version"] == 4
    del manifest["sha256"], manifest["network"]["outputs"]
    del manifest["network"]["nodes"][1]["accumulator_bits"]
    manifest["version"] = 2
    path.write_bytes(manifests.dump(manifest))
    assert read_artifact(tmp_path / "it").network.outputs == ("it",)


TWO = Rescale(name="two", input=INPUT, requantize=plain([1, 1], target=SIGNED))

WRONG = [
    ((Reshape(name="it", input=INPUT, to=(5,)),), r"it: input has shape \(2, 2, 3\), which is not"),
    (
        (Gather(name="it", input=INPUT, channels=np.array([2]), rows=np.array([0]),
                columns=np.array([0])),),
        r"it: position 2 is beyond input of \(2, 2, 3\)",
    ),
    (
        (Gather(name="it", input=INPUT, channels=np.array([0]), rows=None, columns=None),),
        "it chooses along 1 axes, but input has shape",
    ),
    ((TWO, Concat(name="it", input=INPUT, others=("two",))), "it: its tensors have different form"),
    (
        (Gather(name="g", input=INPUT, channels=np.array([0]), rows=np.array([0]),
                columns=np.array([0])),
         Concat(name="it", input=INPUT, others=("g",))),
        "it: its tensors have shapes .* which differ in more than channels",
    ),
    (
        (Lookup(name="it", input=INPUT, table=np.zeros(16, int), format=BYTE),),
        "it: a table of 16 entries for input of 8 bits",
    ),
    (
        (Gather(name="g", input=INPUT, channels=np.array([0, 1]), rows=np.array([0]),
                columns=np.array([0, 1])),
         Multiply(name="it", input=INPUT, other="g", requantize=plain([1, 1]))),
        r"it: g has shape \(2, 1, 2\), input \(2, 2, 3\): they must be equal",
    ),
    ((TWO, Concat(name="it", input="two", others=("nobody",))), "it reads 'nobody', which no node"),
    ((head("one"), head("two")), "one must requantize: only an output leaves its accumulator"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "message"), WRONG)
def test_wrong_nodes(nodes, message):
    with pytest.raises(NetworkError, match=message):
        network(*nodes)


def test_wrong_outputs():
    with pytest.raises(NetworkError, match="'nobody' is an output, which no node produces"):
        network(TWO, outputs=("nobody",))
    with pytest.raises(NetworkError, match="an output is there twice"):
        network(TWO, outputs=("two", "two"))
    reader = Rescale(name="it", input="one", requantize=plain([1, 1]))
    with pytest.raises(NetworkError, match="one leaves its accumulator, which no node can read"):
        network(head("one"), reader, outputs=("one", "it"))


def test_a_position_below_minus_one_and_a_table_beyond_its_format():
    with pytest.raises(NetworkError, match="it: channels hold -2: -1 is the least"):
        Gather(name="it", input=INPUT, channels=np.array([-2]), rows=None, columns=None)
    with pytest.raises(NetworkError, match="it: table spans 0 to 300, its format 0 to 255"):
        Lookup(name="it", input=INPUT, table=np.array([0, 300]), format=BYTE)
