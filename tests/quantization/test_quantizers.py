"""Quantizers against the numeric contract, computed here in exact fractions."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import adq
import adq.data
from adq.data.config import DataConfig
from adq.golden.network import ActivationFormat
from adq.quantization.integers import VanishedRangeWarning, integer_network
from adq.quantization.quantizers import ActivationQuantizer, WeightQuantizer, round_half_up
from adq.runs.evaluation import classify

pytestmark = pytest.mark.testpoint("numbers.training")

BITS = (2, 3, 4, 8, 15, 16)


def exact(x: float, scale: float, low: int, high: int) -> int:
    """Round half up and clamp, without a rounding error of its own."""
    return min(max(math.floor(Fraction(x) / Fraction(scale) + Fraction(1, 2)), low), high)


def quantize(quantizer: ActivationQuantizer, x: torch.Tensor) -> torch.Tensor:
    """Real values on the grid, from real values."""
    unit = quantizer.unit
    integers, scale, _ = quantizer(x.clone() if unit is None else x / unit, unit)
    return integers * scale


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", BITS)
def test_activations_lie_on_the_contracts_grid(bits, signed):
    quantizer = ActivationQuantizer(bits=bits, signed=signed, learned=False).eval()
    # A power of two as scale makes float division exact, so that every integer must be hit.
    with torch.no_grad():
        quantizer.range.fill_(quantizer.largest * 2.0**-9)
    target = ActivationFormat(bits=bits, signed=signed, scale=2.0**-9)
    assert quantizer.scale.item() == target.scale
    steps = np.linspace(target.lo - 3, target.hi + 3, 4001, dtype=np.float32) * target.scale
    halves = (np.arange(target.lo, target.hi, max(1, 2**bits // 999)) + 0.5) * target.scale
    values = torch.tensor(np.concatenate([steps, halves]), dtype=torch.float32)
    expected = [exact(value, target.scale, target.lo, target.hi) for value in values.tolist()]
    with torch.no_grad():
        assert quantizer(values / quantizer.unit, quantizer.unit).integers.tolist() == expected


@pytest.mark.parametrize("bits", BITS)
def test_every_integer_survives_its_own_scale(bits):
    """Values on a layer's grid stay as they are in the next pass over the same grid."""
    quantizer = ActivationQuantizer(bits=bits, signed=False, learned=False).eval()
    integers = torch.arange(2**bits, dtype=torch.float32)
    for limit in (0.1, 1.0, 3.3333, 47.11):
        with torch.no_grad():
            quantizer.range.fill_(limit)
            scale = quantizer.scale
            assert torch.equal(quantizer(integers * scale / scale, scale).integers, integers)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", BITS)
def test_weights_are_symmetric_with_a_scale_a_channel(bits, per_channel):
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(7))
    weight *= torch.tensor([1e-3, 0.1, 1.0, 10.0, 0.0]).reshape(5, 1, 1, 1)
    quantizer = WeightQuantizer(bits=bits, per_channel=per_channel)
    scale = quantizer.scale(weight)
    integers = quantizer.integers(weight)
    largest = 2 ** (bits - 1) - 1
    assert integers.abs().max() == largest
    for channel, row in enumerate(weight.numpy().reshape(5, -1)):
        pool = row if per_channel else weight.numpy()
        limit = min(np.abs(pool).max(), 2 * math.sqrt(largest) * np.abs(pool).mean())
        assert scale[channel].item() == pytest.approx(max(limit, 1e-6) / largest, rel=1e-5)
        ideal = np.clip(row / scale[channel].item(), -largest, largest)
        assert np.abs(integers[channel].numpy().ravel() - ideal).max() <= 0.5 + 2**-7
    factor = torch.arange(1.0, 6.0)
    assert torch.equal(
        quantizer.scaled(weight, scale, factor), integers * factor.reshape(5, 1, 1, 1)
    )


def test_round_half_up_differs_from_round_half_to_even():
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert round_half_up(x).tolist() == [-2, -1, 0, 1, 2, 3]


def test_gradient_is_straight_through_within_the_range_and_none_outside():
    quantizer = ActivationQuantizer(bits=2, signed=False, learned=True).eval()
    with torch.no_grad():
        quantizer.range.fill_(3.0)  # integers 0, 1, 2, 3 stand for themselves
    x = torch.tensor([-1.0, 0.25, 2.75, 4.0], requires_grad=True)
    quantize(quantizer, x).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]
    # By the range: (integer - x) / 3 within it, 0 below, 1 above.
    assert quantizer.range.grad.item() == pytest.approx((-0.25 + 0.25) / 3 + 1)


@pytest.mark.parametrize("rectifies", [False, True])
def test_only_a_relu_takes_the_gradient_from_zero(rectifies):
    quantizer = ActivationQuantizer(bits=2, signed=False, learned=True, rectifies=rectifies).eval()
    with torch.no_grad():
        quantizer.range.fill_(3.0)
    # A sum that is 0 in integers is 0 here as well: float32 leaves up to 2^-20 of the range of it.
    least = 3 * 2.0**-20
    x = torch.tensor([0.0, least / 3, least, 4 * least / 3, 1.0, 3.0], requires_grad=True)
    quantize(quantizer, x).sum().backward()
    assert x.grad.tolist() == [0.0 if rectifies else 1.0] * 3 + [1.0] * 3


def test_gradient_of_weights_by_the_weight_and_by_the_factor():
    """Against differences of the same function without its rounding."""
    quantizer = WeightQuantizer(bits=3, per_channel=True)
    weight = torch.tensor([[0.9, -0.3, 0.05, 0.1], [4.0, 1.0, -0.5, -4.0]], requires_grad=True)
    scale = torch.tensor([0.3, 0.5])
    factor = torch.tensor([0.3, 2.0], requires_grad=True)
    incoming = torch.tensor([[1.0, 2.0, 3.0, 7.0], [4.0, 5.0, 6.0, 8.0]])
    (quantizer.scaled(weight, scale, factor) * incoming).sum().backward()
    # 4.0 / 0.5 = 8 is beyond the largest integer, 3, and -8 beyond the smallest.
    assert weight.grad.tolist() == [[1.0, 2.0, 3.0, 7.0], [0.0, 20.0, 24.0, 0.0]]
    integers = torch.tensor([[3.0, -1.0, 0.0, 0.0], [3.0, 2.0, -1.0, -3.0]])
    assert torch.allclose(factor.grad, (integers * incoming).sum(1))


def test_minmax_follows_the_batches_and_holds_in_evaluation():
    quantizer = ActivationQuantizer(bits=8, signed=True, learned=False)
    quantize(quantizer, torch.tensor([-2.0, 1.0]))
    assert quantizer.range.item() == 2.0
    quantize(quantizer, torch.tensor([0.5, 4.0]))
    assert quantizer.range.item() == pytest.approx(0.9 * 2 + 0.1 * 4)
    quantize(quantizer.eval(), torch.tensor([100.0]))
    assert quantizer.range.item() == pytest.approx(2.2)


def test_learned_range_starts_anew_when_bits_change():
    quantizer = ActivationQuantizer(bits=16, signed=False, learned=True)
    quantize(quantizer, torch.tensor([1.0, 3.0]))
    assert quantizer.range.item() == 3.0  # the maximum: the mean allows 2 * 2 * sqrt(65535)
    quantize(quantizer, torch.tensor([50.0]))
    quantizer.change(16)
    quantize(quantizer, torch.tensor([50.0]))
    assert quantizer.range.item() == 3.0
    quantizer.change(2)
    # Values that a ReLU removes have no part in the range.
    quantize(quantizer, torch.tensor([0.0, -90.0, 0.0, 8.0]))
    assert quantizer.range.item() == pytest.approx(2 * math.sqrt(3) * 2)


def test_a_checkpoint_keeps_bits_and_whether_the_range_is_known():
    quantizer = ActivationQuantizer(bits=16, signed=False, learned=True)
    quantizer.change(5)
    quantize(quantizer, torch.tensor([1.0, 3.0]))
    other = ActivationQuantizer(bits=16, signed=False, learned=True)
    other.load_state_dict(quantizer.state_dict())
    assert other.bits == 5
    quantize(other, torch.tensor([50.0]))
    assert other.range.item() == quantizer.range.item()


@pytest.mark.parametrize(
    ("bits", "signed", "dtype"),
    [
        (2, False, torch.uint8),
        (8, False, torch.uint8),
        (8, True, torch.int8),
        (9, False, torch.int16),
        (15, False, torch.int16),
        (16, True, torch.int16),
        (16, False, None),
    ],
)
def test_the_smaller_type_holds_the_whole_grid(bits, signed, dtype):
    quantizer = ActivationQuantizer(bits=bits, signed=signed, learned=True)
    assert quantizer.dtype is dtype
    if dtype is not None:
        limits = torch.iinfo(dtype)
        assert limits.min <= quantizer.smallest
        assert quantizer.largest <= limits.max


def test_a_learned_range_starts_from_several_batches():
    quantizer = ActivationQuantizer(bits=16, signed=False, learned=True, range_batches=3)
    expected = None
    for maximum in (1.0, 4.0, 2.0):
        assert quantizer.unit is None
        quantizer(torch.tensor([0.1, maximum]), None)
        expected = maximum if expected is None else 0.9 * expected + 0.1 * maximum
        assert quantizer.range.item() == pytest.approx(expected)
    assert quantizer.unit is not None  # learned from here on
    quantizer.change(4)
    assert quantizer.unit is None


def test_a_range_that_vanished_is_named_at_export_and_not_before_training():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    nn.init.constant_(network[0].weight, 1e-12)
    nn.init.zeros_(network[0].bias)
    images = torch.rand(4, 1, 6, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = adq.prepare(network, images)
        prepared.model.train()(images)
    with pytest.warns(VanishedRangeWarning, match="the learned range of 0 has fallen to nothing"):
        integer_network(prepared, name="network")


def test_a_range_that_vanished_comes_back():
    quantizer = ActivationQuantizer(bits=8, signed=False, learned=True)
    quantizer(torch.ones(4), None)
    assert not quantizer.range_has_vanished
    for value in (-100.0, 0.0, 1e-7):
        with torch.no_grad():
            quantizer.range.fill_(value)
        quantizer.range.grad = None
        assert quantizer.range_has_vanished
        scale = quantizer.scale
        assert scale.item() == pytest.approx(1e-6 / 255)
        scale.backward()
        assert quantizer.range.grad.item() == pytest.approx(1 / 255)


def test_a_network_without_batch_norm_trains_at_a_high_rate():
    """Seed 2 ends at chance where the range starts from one batch."""
    images = adq.data.load(DataConfig(name="digits"), seed=0, device="cpu")
    inputs = images.train_batch(
        torch.arange(len(images.train_labels)), torch.zeros(len(images.train_labels), 3).long()
    )
    torch.manual_seed(2)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    prepared = adq.prepare(network, inputs[:1])
    prepared.set_bits(dict.fromkeys(prepared.layers[1:-1], 4))
    optimizer = torch.optim.Adam(prepared.model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(2)
    prepared.model.train()
    for _ in range(4):
        for batch in torch.randperm(len(inputs), generator=generator).split(64):
            optimizer.zero_grad()
            outputs = prepared.model(inputs[batch])
            functional.cross_entropy(outputs, images.train_labels[batch]).backward()
            optimizer.step()
    assert (classify(prepared.model, images) == images.test_labels).float().mean() > 0.7
