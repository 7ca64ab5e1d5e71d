"""Distillation: learning from the network of the first iteration."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from scipy import special

from adq.fields import ConfigError
from adq.runs.checkpoint import Checkpoint, CheckpointError
from adq.runs.run import Run
from adq.shipped import find_shipped
from adq.training.config import Recipe
from adq.training.distillation import TEMPERATURE, Teacher
from adq.training.session import train

pytestmark = pytest.mark.testpoint(reason="Training: software above the contracts.")

CHANGES = (
    *("training.epochs=2", "training.baseline=false", "training.warmup_epochs=0"),
    *("data.train_images=300", "controller.window=1", "controller.tolerance=1.0"),
    *("controller.drift=1.0", "controller.climb=1.0", "controller.settling_epochs=1"),
    "controller.tile=''",
)


def recipe(*changes: str) -> Recipe:
    return Recipe.from_toml(find_shipped("train", "digits"), (*CHANGES, *changes))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train a recipe twice: without distillation, and with it."""
    found = {}
    for share in (0.0, 0.5):
        config = recipe(f"training.distillation={share}")
        found[share] = Run.create(tmp_path_factory.mktemp("runs") / str(share), config)
        train(config, found[share])
    return found


@pytest.fixture
def teacher(runs):
    return Teacher(Checkpoint.load(runs[0.5].iteration(1)), Fabric(accelerator="cpu", devices=1))


def test_the_loss_is_the_divergence_of_softened_classes(teacher):
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(3, 10, generator=torch.Generator().manual_seed(2))
    theirs = special.softmax(teacher.model(images).detach().numpy() / TEMPERATURE, axis=1)
    ours = special.softmax(logits.numpy() / TEMPERATURE, axis=1)
    expected = TEMPERATURE**2 * np.sum(special.rel_entr(theirs, ours))
    assert teacher.loss(images, logits).item() == pytest.approx(expected, rel=1e-5)


def test_a_network_that_gives_what_its_teacher_gives_has_nothing_to_learn(teacher):
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    logits = teacher.model(images).detach().requires_grad_()
    loss = teacher.loss(images, logits)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert logits.grad.abs().max() < 1e-5
    assert all(weights.grad is None for weights in teacher.model.parameters())


def test_a_teacher_draws_no_random_numbers(runs):
    before = torch.get_rng_state()
    Teacher(Checkpoint.load(runs[0.5].iteration(1)), Fabric(accelerator="cpu", devices=1))
    assert torch.equal(before, torch.get_rng_state())


def test_it_begins_behind_the_first_iteration(runs):
    without, distilled = (runs[share].read_history() for share in (0.0, 0.5))
    assert without[0] == distilled[0]
    assert without[1]["iteration"] == distilled[1]["iteration"] == 2
    assert without[1]["loss"] != distilled[1]["loss"]


def test_a_run_without_its_first_iteration_cannot_go_on(runs, tmp_path):
    config = recipe("training.distillation=0.5")
    run = Run.create(tmp_path / "run", config)
    run.mixed.write_bytes(runs[0.5].mixed.read_bytes())
    with pytest.raises(CheckpointError, match=r"iterations/1\.pt"):
        train(config, run)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ConfigError, match=r"distillation is .*: it must be 0 to 1"):
        recipe(f"training.distillation={share}")
