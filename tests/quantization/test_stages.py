"""Gradients of stages against the same written down plainly, in real numbers, and slowly."""

import contextlib
import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import adq
from adq.golden.integer_network import run
from adq.golden.requantize import multiplier_and_shift
from adq.quantization.integers import integer_network
from adq.quantization.multipliers import on_multiplier_grid
from adq.quantization.steps import layers, stages, step
from tests.quantization.user_networks import Functional, Residual

pytestmark = pytest.mark.testpoint("numbers.training")


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.hidden = nn.Linear(5 * 16, 6)
        self.last = nn.Linear(6, 3, bias=False)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.norm(self.conv(x))), 2)
        return self.last(functional.relu(self.hidden(x.flatten(1))))


def relu(x: torch.Tensor) -> torch.Tensor:
    """A ReLU for which a sum that is 0 in integers is 0, whatever float32 leaves of it."""
    return functional.threshold(x, 1e-6, 0.0)


def rounded(x: torch.Tensor) -> torch.Tensor:
    """Halves upwards, with a straight-through gradient."""
    return x + (torch.floor(x + 0.5) - x).detach()


def fake_quantized(x: torch.Tensor, limit: torch.Tensor, bits: int) -> torch.Tensor:
    """Esser et al.'s quantizer as it is written: scale, clamp, round, scale back."""
    scale = limit / (2**bits - 1)
    return rounded((x / scale).clamp(0, 2**bits - 1)) * scale


def fake_quantized_weight(layer: layers.LayerStage) -> torch.Tensor:
    weight = layer.module.weight
    scale = layer.weight_quantizer.scale(weight).reshape(-1, *[1] * (weight.dim() - 1))
    largest = layer.weight_quantizer.largest
    return rounded(weight / scale).clamp(-largest, largest) * scale


class PlainResidual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.inner = nn.Conv2d(5, 6, 3, padding=1, bias=False)
        self.outer = nn.Conv2d(6, 5, 1, bias=False)
        self.last = nn.Linear(5, 3, bias=False)

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x)))
        x = functional.relu(self.outer(functional.relu(self.inner(x))) + x)
        return self.last(x.mean((2, 3)))


def slow_plain(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    network, (conv, hidden, last) = model.network, model.layers.values()
    x = slow_stem(model, conv, images)
    x = fake_quantized(functional.max_pool2d(x, 2), model.quantizer("conv").range, 3)
    x = functional.linear(x.flatten(1), fake_quantized_weight(hidden))
    # The bias is 0, and its rounding as well.
    x = fake_quantized(relu(x + network.hidden.bias), model.quantizer("hidden").range, 4)
    return functional.linear(x, fake_quantized_weight(last))


def slow_residual(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    conv, inner, outer, last = model.layers.values()
    # For its widest reader, the addition, which has the precision of the layer that it joins.
    x = fake_quantized(slow_stem(model, conv, images), model.quantizer("conv").range, 5)
    narrow = fake_quantized(x, model.get_parameter("quantizers.conv->inner:0.range"), 3)
    y = relu(functional.conv2d(narrow, fake_quantized_weight(inner), padding=1))
    y = fake_quantized(y, model.quantizer("inner").range, 5)
    y = relu(functional.conv2d(y, fake_quantized_weight(outer)) + x)
    y = fake_quantized(y, model.quantizer("outer").range, 4)
    y = fake_quantized(y.mean((2, 3)), model.quantizer("mean_pool").range, 4)
    return functional.linear(y, fake_quantized_weight(last))


def slow_stem(model: nn.Module, conv: layers.LayerStage, images: torch.Tensor) -> torch.Tensor:
    scale = model.quantizer("input").scale
    x = images.div(scale).add(0.5).floor() * scale
    x = functional.conv2d(x, fake_quantized_weight(conv), padding=1)
    norm = conv.norm
    return relu(functional.batch_norm(x, None, None, norm.weight, norm.bias, training=True))


@pytest.mark.parametrize(
    ("network", "slow_network", "bits"),
    [
        (Plain, slow_plain, {"hidden": 3, "last": 4}),
        (PlainResidual, slow_residual, {"inner": 3, "outer": 5, "last": 4}),
    ],
)
def test_gradients_are_those_of_quantizers_written_in_real_numbers(network, slow_network, bits):
    torch.manual_seed(3)
    images = torch.randn(7, 2, 8, 8)
    weights = torch.randn(7, 3)
    prepared = adq.prepare(network(), images[:1])
    prepared.set_bits(bits)
    model = prepared.model
    model.train()(images)  # finds the ranges
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "network.hidden.bias":
                parameter.zero_()
            if name.endswith(".range") and "input" not in name:
                parameter.mul_(0.8)  # so that some activations lie beyond
    parameters = [p for p in model.parameters() if p.requires_grad]

    quick = model(images)
    quick_gradients = torch.autograd.grad((quick * weights).sum(), parameters)
    slow = slow_network(model, images)
    slow_gradients = torch.autograd.grad((slow * weights).sum(), parameters)

    assert torch.allclose(quick, slow, atol=1e-3 * slow.abs().max().item())
    for each, expected in zip(quick_gradients, slow_gradients, strict=True):
        assert expected.abs().max() > 0
        assert torch.allclose(each, expected, atol=2e-3 * expected.abs().max().item())


@pytest.mark.parametrize("network", [Residual, Functional])
def test_what_is_kept_in_smaller_types_gives_the_same_gradients(network, monkeypatch):
    torch.manual_seed(8)
    images = torch.randn(6, 3, 16, 16)
    prepared = adq.prepare(network(), images[:1])
    middle = prepared.layers[1:-1]
    prepared.set_bits({name: 2 + position % 8 for position, name in enumerate(middle)})
    if network is Functional:
        prepared.model.network.dropout.p = 0.0
    prepared.model.train()(images)
    parameters = [p for p in prepared.model.parameters() if p.requires_grad]

    state = copy.deepcopy(prepared.model.state_dict())

    def gradients():
        prepared.model.load_state_dict(state)  # each pass moves statistics
        return torch.autograd.grad(prepared.model(images).square().sum(), parameters)

    kept: list[torch.dtype] = []
    to = torch.Tensor.to

    def spied(self, *arguments, **named):
        kept.extend(each for each in arguments if each in (torch.uint8, torch.int8, torch.int16))
        return to(self, *arguments, **named)

    monkeypatch.setattr(torch.Tensor, "to", spied)
    small = gradients()
    assert torch.uint8 in kept
    for module in (step, stages, layers):
        monkeypatch.setattr(module, "remembering", lambda *_: contextlib.nullcontext())
    kept.clear()
    full = gradients()
    assert not kept
    assert all(torch.equal(each, other) for each, other in zip(small, full, strict=True))


@pytest.mark.parametrize("exponent", [-40, -3, 0, 3, 14])
def test_multipliers_are_those_of_the_contract(exponent):
    rng = np.random.default_rng(exponent + 50)
    real = rng.normal(size=33) * 2.0**exponent / 4
    multiplier, shift = multiplier_and_shift(real)
    expected = np.ldexp(multiplier.astype(float), -shift)
    assert on_multiplier_grid(torch.from_numpy(real)).values.tolist() == expected.tolist()


def test_multipliers_next_to_a_power_of_two_and_out_of_reach():
    # 32767.6 / 2^15 rounds to 2^15, which 16 bits do not hold: a shift less.
    real = torch.tensor([32767.6 / 2**15, 0.5], dtype=torch.float64)
    assert on_multiplier_grid(real).values.tolist() == [1.0, 0.5]
    large = torch.tensor([1e6, -1e6, 3.4, 0.0], dtype=torch.float64)
    assert on_multiplier_grid(large).values.tolist() == [32767.0, -32767.0, 3.0, 0.0]
    assert on_multiplier_grid(torch.zeros(3, dtype=torch.float64)).values.tolist() == [0.0] * 3


def test_densities_are_those_of_the_integers():
    """At few bits many sums are 0, which is not active, whatever float32 makes of them."""
    torch.manual_seed(2)
    network = nn.Sequential(
        *(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)),
        *(nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 4)),
    )
    images = torch.randn(40, 2, 10, 10)
    prepared = adq.prepare(network, images[:1], config=adq.QuantizationConfig(range_batches=1))
    prepared.set_bits({"2": 2, "4": 3})
    prepared.model.train()(images)
    prepared.densities()
    prepared.model(images)
    densities = prepared.densities()
    inputs = prepared.input_integers(images).numpy()
    sums = run(integer_network(prepared, name="few"), inputs).accumulators
    assert (sums["2"] == 0).mean() > 0.01
    assert densities == {name: (sums[name] > 0).mean() for name in ("0", "2", "4")}
