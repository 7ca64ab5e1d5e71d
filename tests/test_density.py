"""Densities against a plain count of what the ReLUs put out."""

import numpy as np
import pytest
import torch

from adq.density import DensityMeter
from adq.layers import quantized_layers, relus
from adq.models import ARCHITECTURES
from adq.models.vgg import Vgg


def test_counts_an_epoch_of_unequal_batches_exactly():
    torch.manual_seed(11)
    model = Vgg(
        ARCHITECTURES["digits"],
        input_shape=(1, 8, 8),
        classes=10,
        bits=8,
        activation_range="minmax",
    )
    batches = [torch.randn(size, 1, 8, 8) for size in (32, 32, 5)]
    watched = relus(model)
    assert list(watched) == list(quantized_layers(model))[:-1]
    outputs = {name: [] for name in watched}
    for name, module in watched.items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: outputs[name].append(output.detach().numpy())
        )
    with DensityMeter(watched) as meter, torch.no_grad():
        for batch in batches:
            model(batch)
        measured = meter.take()
        expected = {
            name: sum(int((part != 0).sum()) for part in parts) / sum(part.size for part in parts)
            for name, parts in outputs.items()
        }
        assert measured == expected
        assert all(0.1 < density < 0.9 for density in measured.values())
        # A mean of the batches' densities would be something else.
        assert measured["conv3"] != np.mean([(part != 0).mean() for part in outputs["conv3"]])

        model.eval()(batches[0])
        assert meter.take() == {}


def test_starts_anew_after_each_epoch_and_lets_go_at_the_end():
    relu = torch.nn.ReLU()
    with DensityMeter({"layer": relu}) as meter:
        relu(torch.tensor([-1.0, 1.0, 2.0, 3.0]))
        assert meter.take() == {"layer": 0.75}
        relu(torch.tensor([-1.0, 1.0]))
        relu(torch.tensor([0.0, -1.0]))
        assert meter.take() == {"layer": pytest.approx(0.25)}
    relu(torch.tensor([1.0]))
    assert meter.take() == {}
