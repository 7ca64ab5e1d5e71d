"""Networks that read the levels of images, as unsigned integers."""

import numpy as np
import pytest
import torch
from torch import nn

import adq
from adq.data import load
from adq.data.catalog import DATA_SETS, FOLDER, largest_level
from adq.data.config import DataConfig
from adq.golden.integer_network import run
from adq.golden.network import Conv2d, Rescale
from adq.models import build
from adq.quantization.integers import integer_network
from adq.quantization.quantizers import LevelQuantizer
from adq.quantization.reading.tracing import PrepareError
from adq.training.config import Recipe

pytestmark = pytest.mark.testpoint("numbers.training")


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    images = load(DataConfig(test_images=40), seed=3, device="cpu")
    return images.as_levels(largest_level("digits"))


def prepared_digits(digits, bits=16):
    torch.manual_seed(0)
    model = build("digits", digits.shape, digits.classes)
    prepared = adq.prepare(model, digits.test_batch(slice(1)), bits=bits, levels=16)
    prepared.model.train()
    prepared.model(digits.test_batch(slice(None)))
    prepared.model.eval()
    return prepared


@pytest.mark.parametrize("bits", [16, 8, 5])
def test_the_integers_of_images_are_their_pixels(digits, bits):
    prepared = prepared_digits(digits, bits)
    inputs = prepared.input_integers(digits.test_batch(slice(None))).numpy()
    assert np.array_equal(inputs, digits.test_pixels.numpy())
    source = integer_network(prepared, name="digits").input_format
    assert (source.bits, source.signed, source.scale) == (5, False, 1 / 16)


@pytest.mark.parametrize("largest", [1, 2, 16, 127, 128, 250, 255, 4095, 65535])
def test_every_level_is_kept(largest):
    quantizer = LevelQuantizer(largest)
    levels = torch.arange(largest + 1, dtype=torch.float32)
    for training in (True, False):
        quantizer.train(training)
        unit = quantizer.unit
        found = quantizer((levels / largest) / unit, unit)
        assert torch.equal(found.integers, levels)
        assert found.scale.item() == pytest.approx(1 / largest, rel=1e-6)


def test_fewer_bits_than_levels_need_reach_the_largest_level(digits):
    prepared = prepared_digits(digits, bits=3)
    network = integer_network(prepared, name="digits")
    assert (network.input_format.bits, network.input_format.signed) == (3, False)
    inputs = prepared.input_integers(digits.test_batch(slice(None))).numpy()
    # 7 stands for 16, and 8 may go either way: float32 divides by 1/7.
    exact = digits.test_pixels.numpy() * 7 / 16
    assert np.abs(inputs - exact).max() <= 0.5
    assert inputs.max() == 7


@pytest.mark.parametrize("bits", [16, 5, 2])
def test_integers_compute_what_was_trained(digits, bits):
    prepared = prepared_digits(digits, bits)
    images = digits.test_batch(slice(None))
    trace = run(integer_network(prepared, name="digits"), prepared.input_integers(images).numpy())
    with torch.no_grad():
        trained = prepared.model(images).argmax(1).numpy()
    assert np.array_equal(trace.classes, trained)


def test_padding_is_the_lowest_level(digits):
    prepared = prepared_digits(digits)
    conv = next(
        node
        for node in integer_network(prepared, name="digits").nodes
        if isinstance(node, Conv2d) and node.padding != (0, 0)
    )
    assert conv.input == "input"
    black = prepared.input_integers(torch.zeros(1, *digits.shape))
    assert not black.any()


def test_a_checkpoint_keeps_levels(digits):
    prepared = prepared_digits(digits)
    state = prepared.model.state_dict()
    again = adq.prepare(
        build("digits", digits.shape, digits.classes), digits.test_batch(slice(1)), levels=16
    )
    again.model.load_state_dict(state)
    again.model.eval()
    images = digits.test_batch(slice(None))
    assert torch.equal(prepared.model(images), again.model(images))
    assert again.bits == prepared.bits


class TwoReaders(nn.Module):
    """Images that two layers read."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, padding=1)
        self.other = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Linear(4 * 64, 10)

    def forward(self, x):
        return self.last((self.one(x).relu() + self.other(x).relu()).flatten(1))


def test_a_reader_of_fewer_bits_rescales_levels(digits):
    prepared = adq.prepare(TwoReaders(), digits.test_batch(slice(1)), levels=16)
    prepared.set_bits({"other": 3})
    prepared.model.train()
    prepared.model(digits.test_batch(slice(None)))
    prepared.model.eval()
    network = integer_network(prepared, name="two")
    assert (network.input_format.bits, network["one"].input) == (5, "input")
    rescale = network[network["other"].input]
    assert isinstance(rescale, Rescale)
    assert (rescale.requantize.format.bits, rescale.requantize.format.signed) == (3, False)


@pytest.mark.parametrize(
    ("levels", "example", "message"),
    [
        (0, 0.5, "levels: a largest level of 0: it must be 1 to 65535"),
        (2**16, 0.5, "levels: a largest level of 65536: it must be 1 to 65535"),
        (16.0, 0.5, "levels: 16.0 is no integer"),
        (16, -0.25, "the example spans -0.25 to -0.25: images of levels are level / 16, from 0"),
        (16, 16.0, "the example spans 16 to 16: images of levels are level / 16, from 0 to 1"),
    ],
)
def test_mistakes(levels, example, message):
    with pytest.raises(PrepareError) as error:
        adq.prepare(TwoReaders(), torch.full((1, 1, 8, 8), example), levels=levels)
    assert str(error.value).startswith(message)


def test_recipes_choose_levels():
    table = {"training": {"epochs": 1}, "quantization": {"input": "levels"}}
    largest = {}
    for name in DATA_SETS:
        data = {"name": name} | ({"path": "images"} if name == FOLDER else {})
        recipe = Recipe.from_table({**table, "data": data}, source="a.toml")
        largest[name] = recipe.input_levels
    assert largest == {"digits": 16, "digits32": 16, **dict.fromkeys(DATA_SETS[2:], 255)}
    assert Recipe.from_table({"training": {"epochs": 1}}, source="a.toml").input_levels is None
