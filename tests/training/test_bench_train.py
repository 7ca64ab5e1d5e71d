"""The training benchmark: what is compared with what."""

import pytest
import torch

from adq.benchmarks import training as bench
from adq.models import build

CPU = torch.device("cpu")


def test_ratios_are_medians_of_rounds():
    speeds = {"adq": [90.0, 10.0, 50.0], "plain": [100.0, 100.0, 50.0], "brevitas": [9, 5, 50]}
    memory = {"adq": 110, "plain": 100, "brevitas": 300}
    assert bench.ratios(speeds, memory) == {
        "speed of plain": 0.9,
        "speed of Brevitas": 2.0,
        "memory of plain": 1.1,
    }


@pytest.mark.parametrize("kind", bench.KINDS)
def test_every_kind_trains(kind):
    if kind == "brevitas":
        pytest.importorskip("brevitas", reason="the benchmark's extra is optional")
    step = bench.make_step(kind, "vgg9", 4, CPU)
    step()


def test_brevitas_has_the_same_bits():
    pytest.importorskip("brevitas", reason="the benchmark's extra is optional")
    theirs = [
        (layer.weight_quant.bit_width().item(), layer)
        for layer in bench.brevitas_model("vgg9")
        if hasattr(layer, "weight_quant")
    ]
    ours = bench.adq_model("vgg9")
    assert [bits for bits, _ in theirs] == [layer.bits for layer in ours.layers.values()]
    plain = [tuple(each.shape) for each in build("vgg9", bench.SHAPE, bench.CLASSES).parameters()]
    weights = [tuple(layer.weight.shape) for _, layer in theirs]
    assert weights == [shape for shape in plain if len(shape) > 1]


def test_memory_of_a_fresh_process():
    small = bench.measure_memory_apart("plain", "digits", 4, "cpu", 1)
    large = bench.measure_memory_apart("plain", "digits", 400, "cpu", 1)
    # The first convolution's output alone: 396 images more, 16 channels of 32x32, float32.
    assert large - small > 396 * 16 * 32 * 32 * 4
