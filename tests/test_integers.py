"""The integers of a network against its quantizers in floating point, on real digits."""

import numpy as np
import pytest
import torch
from torch import nn

from adq.config import DataConfig
from adq.data import load
from adq.integers import ExportError, integer_network
from adq.layers import QuantizedBatchNorm2d, QuantizedConv2d, quantized_layers
from adq.models import ARCHITECTURES
from adq.models.vgg import Vgg
from golden.integer_network import run

PRECISIONS = [(16, 16, 16, 16), (16, 2, 2, 16), (16, 5, 3, 16), (8, 8, 8, 8), (2, 2, 2, 2)]


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


def network(images, bits: tuple[int, ...]) -> Vgg:
    """A network whose ranges and statistics have seen digits, with gammas of every kind."""
    torch.manual_seed(sum(bits))
    model = Vgg(
        ARCHITECTURES["digits"],
        input_shape=images.shape,
        classes=images.classes,
        bits=16,
        activation_range="learned",
    )
    for layer, width in zip(quantized_layers(model).values(), bits, strict=True):
        layer.bits = width
    with torch.no_grad():
        for norm in (module for module in model if isinstance(module, QuantizedBatchNorm2d)):
            norm.weight.normal_(0.0, 1.0)
            norm.weight[:4] = torch.tensor([0.0, 1e-7, -1e-3, -2.0])
            norm.bias.normal_(0.0, 0.5)
            norm.momentum = 0.5
        for _ in range(8):
            model.train()(images.train_images[:256])
        for layer in quantized_layers(model).values():
            layer.input_quantizer.forget_range()
        model(images.train_images[:256])
    return model.eval()


def integers(model: Vgg, images):
    return integer_network(
        model, name="digits", input_shape=images.shape, densities={"conv2": 0.25}
    )


def inputs(model: Vgg, images) -> np.ndarray:
    with torch.no_grad():
        return model.conv1.input_quantizer.integers(images.test_images).to(torch.int64).numpy()


@pytest.mark.parametrize("bits", PRECISIONS)
def test_logits_agree_over_the_test_set(images, bits):
    model = network(images, bits)
    trace = run(integers(model, images), inputs(model, images))
    with torch.no_grad():
        logits = model(images.test_images)
        unit = model.linear.accumulator_scale()[0].item()
    spread = logits.std().item()
    error = np.abs(trace.logits * unit - logits.double().numpy())
    # An activation that falls on the other side of a coarse step moves all logits of its image.
    assert np.quantile(error, 0.99) < 0.05 * spread


@pytest.mark.parametrize("bits", PRECISIONS)
def test_each_layer_agrees_given_the_same_input(images, bits):
    """One layer at a time, so that a difference cannot hide behind another layer's."""
    model = network(images, bits)
    net = integers(model, images)
    trace = run(net, inputs(model, images))
    tensors = {"input": inputs(model, images), **trace.outputs}
    layers = quantized_layers(model)
    readers = dict(zip(layers, [*list(layers)[1:], None], strict=True))
    for position, (name, source) in enumerate(
        {"conv1": "input", "conv2": "pool1", "conv3": "conv2"}.items(), start=1
    ):
        layer, reader = layers[name], layers[readers[name]].input_quantizer
        with torch.no_grad():
            x = torch.tensor(tensors[source].astype(np.float32)) * layer.input_quantizer.scale
            y = getattr(model, f"relu{position}")(getattr(model, f"norm{position}")(layer(x)))
            expected = reader.integers(y).numpy()
        difference = np.abs(trace.outputs[name].astype(np.int64) - expected)
        if reader.bits <= 8:
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.01
        else:
            # Half of M's last bit, times the largest product; two roundings, and float32's.
            products = trace.accumulators[name] - net[name].bias[:, None, None]
            bound = 0.5 * np.abs(products).max() / 2.0 ** net[name].requantize.shift
            assert difference.max() <= bound + 3
            assert bound < 8


def test_formats_bits_and_densities_are_those_of_training(images):
    model = network(images, (16, 5, 3, 16))
    net = integers(model, images)
    assert [layer.weight_bits for layer in net.matrix_layers] == [16, 5, 3, 16]
    assert [net.formats[layer.input].bits for layer in net.matrix_layers] == [16, 5, 3, 16]
    assert [net.formats[layer.input].signed for layer in net.matrix_layers] == [True] + [False] * 3
    assert [layer.density for layer in net.matrix_layers] == [None, 0.25, None, None]
    for layer in net.matrix_layers:
        assert net.formats[layer.input].scale == pytest.approx(
            quantized_layers(model)[layer.name].input_quantizer.scale.item()
        )


def test_a_channel_without_gamma_is_its_beta(images):
    model = network(images, (16, 4, 4, 16))
    net = integers(model, images)
    assert (net["conv2"].weight[0] == 0).all()
    outputs = run(net, inputs(model, images)).outputs["conv2"][:, 0]
    reader = model.conv3.input_quantizer
    with torch.no_grad():
        beta = reader.integers(model.norm2.bias[0].relu())
    assert (outputs == int(beta)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.add_module("tail", nn.Sigmoid()), "tail: Sigmoid has no integer form"),
        (
            lambda model: setattr(model, "relu1", nn.Identity()),
            "conv1: a convolution must be followed by batch norm and ReLU",
        ),
        (
            lambda model: delattr(model, "linear"),
            "the network must end in a linear layer, which gives the logits",
        ),
    ],
)
def test_networks_without_an_integer_form(images, change, message):
    model = network(images, (16, 16, 16, 16))
    change(model)
    with pytest.raises(ExportError) as caught:
        integers(model, images)
    assert str(caught.value) == message


def test_convolution_and_norm_fit_each_other(images):
    model = network(images, (16, 4, 4, 16))
    norms = [module for module in model if isinstance(module, QuantizedBatchNorm2d)]
    convolutions = [module for module in model if isinstance(module, QuantizedConv2d)]
    assert [norm.convolution for norm in norms] == convolutions
