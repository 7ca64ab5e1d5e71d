"""Policies on a network whose densities and needs of bits are known, and their resumption."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import adq
from adq.data.config import DataConfig
from adq.runs.run import Run
from adq.training.config import POLICIES, Recipe
from adq.training.observer import Observer
from adq.training.session import train
from tests.training.test_training import same

pytestmark = pytest.mark.testpoint(reason="policies of training: nothing of the hardware")


class Known(nn.Module):
    """Two hidden layers with the same number of multiply-accumulates.

    ``coarse`` reads pixels that are 0 to 3, with weights of 1 and -1: 2 bits hold both exactly. Of
    its outputs 6 of 8 are always positive, and 2 never: a density of 0.75. ``fine`` reads sums,
    with weights of many sizes: it needs more bits. Half of its outputs are always positive.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 1)
        self.coarse = nn.Conv2d(8, 8, 1)
        self.fine = nn.Conv2d(8, 8, 1)
        self.last = nn.Linear(8 * 16, 3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            self.first.weight.fill_(1.0)
            self.first.bias.zero_()
            signs = torch.ones(8, 8)
            signs[:, :4] = -1
            signs[torch.arange(8), torch.arange(8) % 4] = 1  # no two rows sum to nothing
            self.coarse.weight.copy_(signs[:, :, None, None])
            self.coarse.bias.copy_(torch.tensor([13.0] * 6 + [-100.0] * 2))
            weights = torch.randn(8, 8, 1, 1, generator=generator)
            self.fine.weight.copy_(weights)
            self.fine.bias.copy_(torch.tensor([400.0] * 4 + [-4000.0] * 4))
            self.last.weight.copy_(torch.randn(3, 128, generator=generator))

    def forward(self, x):
        for layer in (self.first, self.coarse, self.fine):
            x = functional.relu(layer(x))
        return self.last(x.flatten(1))


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(6)
    images = torch.randint(4, (256, 1, 4, 4), generator=generator).float()
    with torch.no_grad():
        logits = Known()(images)
    # Each class for a third: the logits' own means say nothing.
    return images, (logits - logits.mean(0)).argmax(1)


def known(samples) -> adq.Prepared:
    network = Known()
    with torch.no_grad():
        logits = network(samples[0])
        mean = logits.mean(0)
        factor = 3 / (logits - mean).std()
        network.last.bias.copy_((network.last.bias - mean) * factor)
        network.last.weight *= factor
    prepared = adq.prepare(network, samples[0][:1], config=adq.QuantizationConfig(range_batches=1))
    prepared.model.train()
    with torch.no_grad():
        prepared.model(samples[0])
    return prepared


def decided(samples, policy: str, budget: str = "", **values) -> dict[str, int]:
    """Bits of the two hidden layers after one decision."""
    prepared = known(samples)
    config = adq.ControllerConfig(
        policy=policy, budget=budget, window=1, max_iterations=2, settling_epochs=1,
        first_bits=16, last_bits=16, **values,
    )  # fmt: skip
    controller = adq.Controller(prepared, config, measurements=adq.Measurements(*samples))
    assert controller.step(remaining_epochs=5) is adq.Decision.LOWER
    assert (prepared.bits["first"], prepared.bits["last"]) == (16, 16)
    return {name: prepared.bits[name] for name in ("coarse", "fine")}


def test_its_densities(samples):
    first = (samples[0] > 0).double().mean().item()
    assert known(samples).densities() == {"first": first, "coarse": 0.75, "fine": 0.5}


@pytest.mark.parametrize(
    ("policy", "bits"),
    [
        ("activation-density", (12, 8)),
        ("inverse", (8, 12)),
        ("random", (8, 12)),  # the only other way to deal them
        ("uniform", (5, 5)),
    ],
)
def test_without_a_budget(samples, policy, bits):
    found = decided(samples, policy, uniform_bits=5)
    assert tuple(found.values()) == bits


# Each of the two hidden layers has 1,024 of the 2,560 multiply-accumulates. The ends have 16 bits,
# so that a mean of 6.4 bits leaves 8 bits for the two together.
@pytest.mark.parametrize(
    ("policy", "bits"),
    [
        ("activation-density", (6, 2)),  # 16 * 0.75^t and 16 * 0.5^t, t = 3.5
        ("inverse", (2, 6)),
        ("random", (2, 6)),
        ("uniform", (4, 4)),
        ("energy-aware", (2, 6)),
    ],
)
def test_at_a_budget(samples, policy, bits):
    assert tuple(decided(samples, policy, budget="6.4 bits").values()) == bits


def test_two_bits_for_the_coarse_layer_are_best(samples):
    images, labels = samples
    losses = {}
    for bits in ((2, 6), (4, 4), (6, 2)):
        prepared = known(samples)
        prepared.set_bits(dict(zip(("coarse", "fine"), bits, strict=True)))
        prepared.model.train()
        with torch.no_grad():
            prepared.model(images)
            losses[bits] = functional.cross_entropy(prepared.model.eval()(images), labels).item()
    assert losses[2, 6] < 0.9 * min(losses[4, 4], losses[6, 2])


class StoppedError(Exception):
    pass


class Stop(Observer):
    """Stops a training within an epoch, after some steps."""

    def __init__(self, steps: int):
        self.left = steps

    def step(self, network):
        self.left -= 1
        if not self.left:
            raise StoppedError


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(tmp_path, policy):
    recipe = Recipe(
        training=adq.TrainingConfig(epochs=4, seed=3, checkpoint_steps=1, baseline=False),
        data=DataConfig(train_images=256),
        controller=adq.ControllerConfig(
            policy=policy, budget="60 nJ/image", window=1, climb=1.0, settling_epochs=2,
            first_bits=8, last_bits=8,
        ),
    )  # fmt: skip
    whole, parts = (Run.create(tmp_path / name, recipe) for name in ("whole", "parts"))
    train(recipe, whole)
    # 4 steps an epoch: within the first one, and within one behind a decision.
    for steps in (2, 9):
        with pytest.raises(StoppedError):
            train(recipe, parts, Stop(steps))
    train(recipe, parts)
    assert whole.history.read_text() == parts.history.read_text()
    states = [torch.load(run.mixed, weights_only=True) for run in (whole, parts)]
    for state in states:
        del state["seconds"]
    assert same(*states)
    bits = whole.read_metrics()["mixed"]["bits"]
    assert max(bits["conv2"], bits["conv3"]) < 8
