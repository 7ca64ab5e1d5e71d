import dataclasses

import numpy as np
import onnx
import pytest
from hypothesis import given, settings

from adq.golden import integer_network
from adq.golden.network import INPUT, ActivationFormat, NetworkError
from adq.golden.onnx.check import OnnxError
from adq.golden.onnx.graph import build_model
from adq.golden.onnx.session import OnnxRun, QonnxRun
from adq.golden.verify import compare
from tests.golden_networks import NetworkBuilder, digits_like_network, networks, random_inputs

pytestmark = [
    pytest.mark.testpoint("numbers.network"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def assert_agree(network, inputs, trace):
    stored = integer_network.run(network, inputs)
    agreements = compare(network, stored, trace)
    assert [a.first_difference for a in agreements] == [None] * len(network.nodes)
    assert sum(a.integers for a in agreements) > 0


@settings(max_examples=80, deadline=None)
@given(networks())
def test_onnx_runtime_gives_the_same_integers(case):
    network, inputs = case
    assert_agree(network, inputs, OnnxRun(network, build_model(network))(inputs))


@settings(max_examples=15, deadline=None)
@given(networks())
def test_qonnx_executor_gives_the_same_integers(case):
    network, inputs = case
    model = build_model(network, "qonnx")
    assert_agree(network, inputs, QonnxRun(network, model)(inputs))


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_network_with_a_residual_block(bits):
    network = digits_like_network(bits)
    inputs = random_inputs(network, np.random.default_rng(bits), 100)
    model = build_model(network)
    assert_agree(network, inputs, OnnxRun(network, model)(inputs))
    operators = {node.op_type for node in model.graph.node}
    # Sums of products of 16 bits leave float32 and are unrolled, those of less are convolved.
    assert ("Concat" in operators) == (bits == 16)
    assert ("Conv" in operators) == (bits < 16)
    assert {node.domain for node in model.graph.node} == {""}


@pytest.mark.parametrize("multiplier", [1, -1])
def test_requantization_beyond_float64_is_exact(multiplier):
    # A skip whose products reach 2^62: the int64 lowering, by its remainder.
    rng = np.random.default_rng(1)
    builder = NetworkBuilder(rng, (2, 3, 3), ActivationFormat(bits=16, signed=True, scale=1.0))
    builder.rescale(skip=INPUT)
    node = builder.nodes[0]
    requantize = dataclasses.replace(
        node.requantize,
        skip_multiplier=np.full(2, multiplier * (2**46 + 1)),
        shift=46,
        format=ActivationFormat(bits=16, signed=True, scale=1.0),
    )
    builder.nodes[0] = dataclasses.replace(node, requantize=requantize)
    network = builder.network(classes=3)
    inputs = random_inputs(network, rng, 50)
    for dialect, execute in (("onnx", OnnxRun), ("qonnx", QonnxRun)):
        model = build_model(network, dialect)
        assert "Mod" in {node.op_type for node in model.graph.node}
        assert_agree(network, inputs[:3], execute(network, model)(inputs[:3]))
    # Negative results are not all clamped: rounding is seen on both sides of 0.
    outputs = integer_network.run(network, inputs).outputs[builder.nodes[0].name]
    assert (outputs < 0).any()
    assert (outputs > 0).any()


def test_qonnx_counts_our_macs():
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.inference_cost import inference_cost

    builder = NetworkBuilder(
        np.random.default_rng(2), (4, 8, 8), ActivationFormat(bits=3, signed=False, scale=1.0)
    )
    builder.conv(6, (3, 3), (2, 1), (1, 1), groups=2)
    builder.average_pool((2, 2), (2, 2))
    builder.rescale()
    builder.conv(5, (1, 1), (1, 1), (0, 0))
    for network in (builder.network(classes=3), digits_like_network(4), digits_like_network(16)):
        wrapper = ModelWrapper(build_model(network, "qonnx"))
        cost = inference_cost(wrapper, discount_sparsity=False)["total_cost"]
        assert cost["total_macs"] == sum(network.macs(n.name) for n in network.matrix_layers)


def test_a_changed_weight_is_found():
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(3), 5)
    model = build_model(network)
    (weight,) = (w for w in model.graph.initializer if w.name == "conv2/weight")
    values = onnx.numpy_helper.to_array(weight).copy()
    values[3, 2, 1, 1] ^= 1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    stored = integer_network.run(network, inputs)
    differing = {
        a.node: a.differing for a in compare(network, stored, OnnxRun(network, model)(inputs))
    }
    assert differing["conv1"] == 0
    assert differing["conv2"] > 0


def test_equal_networks_give_equal_bytes():
    for dialect in ("onnx", "qonnx"):
        one, other = (build_model(digits_like_network(), dialect) for _ in range(2))
        assert one.SerializeToString() == other.SerializeToString()


def test_what_is_no_graph_of_the_network():
    network = digits_like_network()
    inputs = random_inputs(network, np.random.default_rng(4), 1)
    other = NetworkBuilder(np.random.default_rng(5), (1, 8, 8), network.input_format).network(2)
    with pytest.raises(OnnxError, match="no tensor conv1/accumulator: it is not one of this"):
        OnnxRun(network, build_model(other))(inputs)
    with pytest.raises(NetworkError, match="they must be integers"):
        OnnxRun(network, build_model(network))(inputs / 2)
