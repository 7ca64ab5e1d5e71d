"""The integers of a network against its quantizers in floating point, on real digits."""

import numpy as np
import pytest
import torch
from torch import nn

import adq
from adq.data import load
from adq.data.config import DataConfig
from adq.golden.integer_network import run
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Rescale,
)
from adq.golden.requantize import skip_multiplier_and_shift
from adq.models import build
from adq.quantization.integers import ExportError, _requantize, integer_network
from adq.quantization.multipliers import skip_ratio
from adq.quantization.quantizers import Activation
from adq.quantization.steps.layers import LogitsStage
from adq.quantization.steps.stages import InputStage, Stage
from tests.quantization.user_networks import Functional, Pooled, Residual

pytestmark = pytest.mark.testpoint("numbers.training")

PRECISIONS = [(16, 16, 16, 16), (16, 2, 2, 16), (16, 5, 3, 16), (8, 8, 8, 8), (2, 2, 2, 2)]
"""Precisions of the digits network; other networks repeat the middle ones."""


@pytest.fixture(autouse=True)
def one_thread():
    """Networks as small as these only wait for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def images():
    return load(DataConfig(), seed=3, device="cpu")


NETWORKS = {
    "digits": lambda: build("digits", (1, 8, 8), 10),
    "residual": lambda: Residual(channels=1),
    "functional": lambda: Functional(channels=1),
    "pooled": lambda: Pooled(channels=1),
}


def network(name: str, images, bits: tuple[int, ...], seed: int = 0) -> adq.Prepared:
    """A network whose ranges and statistics have seen digits, with gammas of every kind."""
    torch.manual_seed(seed + sum(bits))
    prepared = adq.prepare(NETWORKS[name](), images.test_batch(slice(2)))
    first, *middle, last = prepared.layers
    chosen = np.random.default_rng(len(middle)).permutation(np.arange(len(middle)) % 2)
    widths = {layer: bits[1 + int(each)] for layer, each in zip(middle, chosen, strict=True)}
    prepared.set_bits({first: bits[0], **widths, last: bits[-1]})
    batch = images.train_batch(torch.arange(256), images.draw(256, torch.Generator()))
    with torch.no_grad():
        for module in prepared.model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.normal_(0.0, 1.0)
                module.weight[:4] = torch.tensor([0.0, 1e-7, -1e-3, -2.0])
                module.bias.normal_(0.0, 0.5)
                module.momentum = 0.5
        for _ in range(8):
            prepared.model.train()(batch)
        widths_now = prepared.bits
        prepared.set_bits(dict.fromkeys(prepared.layers, 9))
        prepared.set_bits(widths_now)  # finds ranges anew
        prepared.model(batch)
    prepared.model.eval()
    return prepared


@pytest.mark.parametrize("bits", PRECISIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_agree_over_the_test_set(images, name, bits):
    prepared = network(name, images, bits)
    test_images = images.test_batch(slice(None))
    trace = run(integer_network(prepared, name=name), prepared.input_integers(test_images).numpy())
    with torch.no_grad():
        logits = prepared.model(test_images)
        last = list(prepared.model.layers.values())[-1]
        scale = prepared.model.quantizer(last.input.tensor).scale
        unit = last.accumulator_scale(scale)[0].item()
    spread = logits.std().item()
    error = np.abs(trace.logits * unit - logits.double().numpy())
    # An activation that falls on the other side of a coarse step moves all logits of its image.
    assert np.quantile(error, 0.99) < 0.05 * spread


@pytest.mark.parametrize("bits", PRECISIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_each_stage_agrees_given_the_same_input(images, name, bits):
    """One stage at a time, so that a difference cannot hide behind another's."""
    prepared = network(name, images, bits)
    net = integer_network(prepared, name=name)
    inputs = prepared.input_integers(images.test_batch(slice(None))).numpy()
    trace = run(net, inputs)
    values: dict[str, Activation] = {}
    compared = 0
    for step in prepared.model.steps[:-1]:
        if isinstance(step, InputStage):
            node, integers = "input", inputs
        else:
            with torch.no_grad():
                computed = step.run(values).integers.numpy()
            pool = getattr(step, "pool", None)
            node = pool.name if pool else step.name
            integers = trace.outputs.get(node, computed)  # dropout is no node
            if isinstance(step, Stage):
                _compare(step, computed, integers)
                compared += 1
        scale = prepared.model.quantizer(step.name).scale.detach()
        values[step.name] = Activation(torch.tensor(integers.astype(np.float32)), scale)
    assert compared >= 3


def _compare(step, computed, integers) -> None:
    """Compare integers with those of training, which may round a half the other way in float32."""
    difference = np.abs(integers.astype(np.int64) - computed.astype(np.int64))
    if step.quantizer.bits <= 8:
        assert difference.max() <= 1, step.name
        assert (difference > 0).mean() < 1e-3, step.name
    else:
        # float32 has 24 bits for sums of 32-bit products.
        assert difference.max() <= 4, step.name
        assert difference.mean() < 0.1, step.name


def test_formats_bits_and_densities_are_those_of_training(images):
    prepared = network("digits", images, (16, 5, 3, 16))
    net = integer_network(prepared, name="digits", densities={"conv2": 0.25})
    assert [layer.weight_bits for layer in net.matrix_layers] == [16, 5, 3, 16]
    assert [net.formats[layer.input].bits for layer in net.matrix_layers] == [16, 5, 3, 16]
    assert [net.formats[layer.input].signed for layer in net.matrix_layers] == [True] + [False] * 3
    assert [layer.density for layer in net.matrix_layers] == [None, 0.25, None, None]
    for layer in net.matrix_layers:
        source = prepared.model.layers[layer.name].input.tensor
        scale = prepared.model.quantizer(source).scale.item()
        assert net.formats[layer.input].scale == pytest.approx(scale)


def test_every_layer_reads_its_own_bits_and_a_skip_has_those_of_the_layer_that_it_joins(images):
    prepared = network("residual", images, (16, 5, 3, 16))
    net = integer_network(prepared, name="residual")
    for layer in net.matrix_layers:
        assert net.formats[layer.input].bits == prepared.bits[layer.name]
        assert layer.weight_bits == prepared.bits[layer.name]
    joins = {layer.name: layer.requantize.skip for layer in net.matrix_layers[:-1]}
    joins = {name: skip for name, skip in joins.items() if skip}
    assert list(joins) == ["block1.conv3", "block2.conv3", "block3.conv3"]
    for name, skip in joins.items():
        assert net.formats[skip].bits == prepared.bits[name]
    assert joins["block3.conv3"] == "block3.downsample.0"
    assert net.formats["block3.downsample.0"].signed
    rescales = [node.name for node in net.nodes if isinstance(node, Rescale)]
    assert rescales == ["block2.conv3.skip", "block3.downsample.0.input"]


def test_nodes_of_a_tensor_that_poolings_and_a_layer_read(images):
    net = integer_network(network("pooled", images, (16, 5, 3, 16)), name="pooled")
    nodes = [
        (type(node), node.name, node.input, getattr(getattr(node, "requantize", 0), "skip", None))
        for node in net.nodes
    ]
    assert nodes == [
        (Conv2d, "first", INPUT, None),
        (Rescale, "second.input", "first", None),
        (Conv2d, "second", "second.input", None),
        (AveragePool2d, "avg_pool2d", "first", "second"),
        (MaxPool2d, "max_pool2d", "first", None),
        (Rescale, "add_1", "avg_pool2d", "max_pool2d"),
        (MaxPool2d, "max_pool2d_1", "add_1", None),
        (Flatten, "flatten", "max_pool2d_1", None),
        (Linear, "last", "flatten", None),
    ]
    for name in ("avg_pool2d", "max_pool2d", "max_pool2d_1"):
        assert (net[name].kernel, net[name].stride) == ((2, 2), (2, 2))
    assert net["second"].stride == (2, 2)
    assert net.formats["max_pool2d"] == net.formats["first"]


def test_a_channel_without_gamma_is_its_beta(images):
    prepared = network("digits", images, (16, 4, 4, 16))
    net = integer_network(prepared, name="digits")
    assert (net["conv2"].weight[0] == 0).all()
    # As fine as it can be, for its bias.
    assert net["conv2"].requantize.multiplier[0] == 1
    inputs = prepared.input_integers(images.test_batch(slice(None))).numpy()
    outputs = run(net, inputs).outputs["conv2"][:, 0]
    beta = prepared.model.network.norm2.bias[0].item()
    quantizer = prepared.model.quantizer("conv2")
    expected = round(max(0.0, min(beta / quantizer.scale.item(), quantizer.largest)))
    assert (outputs == expected).all()


@pytest.mark.parametrize("name", ["residual", "functional"])
def test_a_network_in_which_every_gamma_is_zero(images, name):
    """A branch whose last batch norm begins at 0, as residual branches often do."""
    prepared = network(name, images, (16, 4, 6, 16))
    with torch.no_grad():
        for module in prepared.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.zero_()
    test_images = images.test_batch(slice(None))
    trace = run(integer_network(prepared, name=name), prepared.input_integers(test_images).numpy())
    with torch.no_grad():
        classes = prepared.model(test_images).argmax(1).numpy()
    assert (trace.classes == classes).mean() > 0.99


def test_logits_share_one_scale(images):
    prepared = network("digits", images, (16, 4, 4, 16))
    last = prepared.model.layers["linear"]
    assert isinstance(last, LogitsStage)
    scale = last.weight_quantizer.scale(last.module.weight)
    assert (scale == scale[0]).all()


@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_a_layer_that_holds_no_numbers_is_named(images, parameter):
    prepared = network("digits", images, (16, 4, 4, 16))
    with torch.no_grad():
        getattr(prepared.model.network.norm2, parameter)[3] = torch.nan
    with pytest.raises(ExportError) as error:
        integer_network(prepared, name="digits")
    assert str(error.value) == (
        "conv2 has no integers: its weights or its batch norm are no finite numbers: train again"
    )


@pytest.mark.parametrize(
    ("real", "skip_ratio", "multiplier", "shift", "skip_multiplier", "skip_shift"),
    [
        ([0.5, -0.25], None, [2**14, -(2**13)], 15, None, 0),
        ([0.5, -0.25], 1.5, [2**14, -(2**13)], 15, 3 * 2**13, 1),
        ([2.0**-30], None, [2**14], 44, None, 0),
        # A skip connection's product is to stay within int64: S is 40 at most.
        ([2.0**-30], 1.5, [2**10], 40, 3 * 2**13, 26),
        # Nothing but a skip connection or an offset.
        ([0.0, 0.0], None, [0, 0], 16, None, 0),
        ([0.0, 0.0], 0.75, [0, 0], 16, 3 * 2**13, 1),
    ],
)
def test_multipliers_beside_that_of_a_skip_connection(
    real, skip_ratio, multiplier, shift, skip_multiplier, skip_shift
):
    skip = None if skip_ratio is None else ("block", skip_ratio)
    target = ActivationFormat(bits=8, signed=False, scale=0.5)
    found = _requantize(np.array(real), target, skip)
    assert (found.multiplier.tolist(), found.shift) == (multiplier, shift)
    assert found.format == target
    assert found.skip == (None if skip is None else "block")
    if skip_multiplier is None:
        assert found.skip_multiplier is None
    else:
        assert found.skip_multiplier.tolist() == [skip_multiplier] * len(real)
    assert found.skip_shift == skip_shift


@pytest.mark.parametrize("shift", [0, 4, 16, 30])
@pytest.mark.parametrize("ratio", [0.7, 1.0, 8149.03, 2.0**-20, 0.999999, 40000.0])
def test_training_has_the_skip_multipliers_of_the_integers(ratio, shift):
    x = Activation(torch.zeros(1), torch.tensor(ratio))
    trained = skip_ratio(x, torch.tensor(1.0), torch.tensor(shift)).item()
    multiplier, up = skip_multiplier_and_shift(np.array([x.scale.item()]), shift)
    exact = float(int(multiplier[0]) << up) / 2**shift
    assert trained == np.float32(exact)
