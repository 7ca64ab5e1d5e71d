"""The recipes for a GPU: each runs on a CPU, one epoch on 512 images."""

from pathlib import Path

import numpy as np
import pytest

import adq.data
from adq.config import Recipe
from adq.data.hub import HUB_DATA_SETS
from adq.data.images import Images
from adq.data.splits import Split, Splits
from adq.run import Run
from adq.training.session import train

RECIPES = sorted(Path(__file__, "../../configs/train").resolve().glob("*.toml"))
RECIPES = [path for path in RECIPES if 'device = "cuda"' in path.read_text()]

SMALL = ("training.device=cpu", "training.baseline=false", "training.warmup_epochs=0")
WHOLE = (*SMALL, "training.epochs=1", "data.train_images=512")
# The same number of images in two epochs, with a change of bits and channels between them.
TWO_EPOCHS = (
    *SMALL,
    "training.epochs=2",
    "data.train_images=256",
    "controller.window=1",
    "controller.settling_epochs=1",
)


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


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_an_epoch_on_512_images(tmp_path, monkeypatch, path):
    monkeypatch.setattr(adq.data, "load", random_images)
    pruned = "pruned" in path.stem
    recipe = Recipe.from_toml(path, TWO_EPOCHS if pruned else WHOLE)
    run = Run.create(tmp_path / "run", recipe)
    metrics = train(recipe, run)
    channels = [list(each["channels"].values()) for each in metrics["mixed"]["iterations"]]
    if pruned:
        assert metrics["mixed"]["mac_reduction"] > 4
        assert sum(channels[1]) < 0.7 * sum(channels[0])
    else:
        assert metrics["mixed"]["mac_reduction"] == 1
    assert sum(1 for _ in run.read_history()) == recipe.training.epochs


def test_there_are_four():
    assert len(RECIPES) == 4
