"""The recipes for a GPU run on a CPU: a step before and after an update, and 512 images."""

import numpy as np
import pytest

import adq.data
from adq.data.hub import HUB_DATA_SETS
from adq.data.images import Images
from adq.data.splits import Split, Splits
from adq.runs.run import Run
from adq.training.config import Recipe
from adq.training.session import train
from tests.places import ROOT

RECIPES = sorted((ROOT / "configs" / "train").glob("*.toml"))
RECIPES = [path for path in RECIPES if 'device = "cuda"' in path.read_text()]

OFTEN = ("cifar10-vgg19-pruned", "cifar100-resnet18")
"""Each network, and each rule; the others run with the slow tests."""

SMALL = (
    "training.device=cpu",
    "training.baseline=false",
    "training.warmup_epochs=0",
    "controller.tile=",  # energies of these networks take longer than their steps
)
TWO_EPOCHS = ("training.epochs=2", "controller.window=1", "controller.settling_epochs=1")


def random_images(config, *, seed, device) -> Images:
    data_set = HUB_DATA_SETS[config.name]
    generator = np.random.default_rng(seed)

    def split(count: int) -> Split:
        return Split(
            pixels=generator.integers(256, size=(count, *data_set.shape), dtype=np.uint8),
            labels=generator.integers(data_set.classes, size=count),
        )

    splits = Splits(train=split(config.train_images), test=split(32))
    return Images.from_splits(splits, classes=data_set.classes, config=config, seed=seed)


def train_small(tmp_path, monkeypatch, path, *changes) -> tuple[Run, dict]:
    monkeypatch.setattr(adq.data, "load", random_images)
    recipe = Recipe.from_toml(path, [*SMALL, *changes])
    run = Run.create(tmp_path / "run", recipe)
    return run, train(recipe, run)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in OFTEN else pytest.mark.slow)
        for path in RECIPES
    ],
)
def test_an_update_between_two_steps(tmp_path, monkeypatch, path):
    changes = ("training.batch_size=4", "data.train_images=4", *TWO_EPOCHS)
    _, metrics = train_small(tmp_path, monkeypatch, path, *changes)
    first, second = metrics["mixed"]["iterations"]
    assert metrics["mixed"]["mac_reduction"] > 1.5
    assert sum(second["bits"].values()) < 0.8 * sum(first["bits"].values())
    pruned = sum(second["channels"].values()) < 0.7 * sum(first["channels"].values())
    assert pruned == ("pruned" in path.stem)


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_an_epoch_on_512_images(tmp_path, monkeypatch, path):
    changes = ("training.epochs=1", "data.train_images=512")
    run, metrics = train_small(tmp_path, monkeypatch, path, *changes)
    assert metrics["mixed"]["mac_reduction"] == 1
    assert len(run.read_history()) == 1


def test_there_are_four():
    assert len(RECIPES) == 4
