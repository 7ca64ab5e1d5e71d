"""Recipes: what is read, and what each mistake is told."""

import dataclasses
import os
from pathlib import Path

import pytest

from adq.fields import ConfigError
from adq.training.config import Recipe
from tests.places import ROOT

RECIPES = sorted((ROOT / "configs" / "train").glob("*.toml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_checked_in_recipes_are_valid(path):
    assert Recipe.from_toml(path).controller.initial_bits == 16


def test_reads_values_and_defaults(tmp_path):
    text = "[training]\nepochs = 3\nlearning_rate = 1\n[controller]\nwindow = 7\n"
    recipe = Recipe.from_toml(write(tmp_path, text))
    assert recipe.training.epochs == 3
    assert recipe.training.learning_rate == 1.0
    assert type(recipe.training.learning_rate) is float
    assert recipe.controller.window == 7
    assert recipe.controller.minimum_bits == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.controller.window = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepoch = 3", "epoch is not a key of [training]: did you mean epochs?"),
        (
            "[training]\nepochs = 3\n[controler]\nwindow = 2",
            "controler is not a table of a recipe: did you mean controller?",
        ),
        (
            "[training]\nepochs = 3\n[model]\nzzz = 2",
            "zzz is not a key of [model]: valid are name, weights",
        ),
        ("", "training is missing: it is a table of a recipe without a default"),
        ("[training]", "epochs is missing: it is a key of [training] without a default"),
        ("training = 3", "training is 3: it must be a table, written [training]"),
        ("[training]\nepochs = 3.5", "[training] epochs is 3.5: it must be an integer"),
        ("[training]\nepochs = true", "[training] epochs is True: it must be an integer"),
        ("[training]\nepochs = 0", "[training] epochs is 0: it must be at least 1"),
        (
            "[training]\nepochs = 1\nlearning_rate = nan",
            "[training] learning_rate is nan: it must be more than 0 and at most 10",
        ),
        (
            "[training]\nepochs = 1\nwarmup_epochs = 2",
            "[training] warmup_epochs is 2.0: it must be 0 to 1",
        ),
        (
            '[training]\nepochs = 1\nprecision = "float16"',
            "[training] precision is 'float16': it must be one of auto, float32, bfloat16",
        ),
        (
            "[training]\nepochs = 1\n[controller]\ninitial_bits = 17",
            "[controller] initial_bits is 17: it must be 2 to 16",
        ),
        (
            "[training]\nepochs = 1\n[controller]\nminimum_bits = 1",
            "[controller] minimum_bits is 1: it must be 2 to 16",
        ),
        (
            "[training]\nepochs = 1\n[controller]\ninitial_bits = 4\nminimum_bits = 5",
            "[controller] minimum_bits is 5: it must be 2 to 4",
        ),
        (
            "[training]\nepochs = 1\n[data]\ntest_fraction = 1",
            "[data] test_fraction is 1.0: it must be more than 0 and less than 1",
        ),
        (
            '[training]\nepochs = 1\n[data]\nname = "mnist"',
            "[data] name is 'mnist': it must be one of digits, digits32, cifar10, cifar100, "
            "tiny-imagenet, folder, module:function",
        ),
        (
            '[training]\nepochs = 1\n[quantization]\nactivation_range = "max"',
            "[quantization] activation_range is 'max': it must be one of learned, minmax",
        ),
        (
            '[training]\nepochs = 1\n[quantization]\ninput = "bytes"',
            "[quantization] input is 'bytes': it must be one of signed, levels",
        ),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Recipe.from_toml(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_written_out_is_the_same_recipe(tmp_path, path):
    recipe = Recipe.from_toml(path)
    again = Recipe.from_toml(write(tmp_path, recipe.to_toml()))
    assert again == recipe
    assert recipe.differences(again) == []


def test_changes_on_top_of_a_recipe(tmp_path):
    path = write(tmp_path, '[training]\nepochs = 3\n[model]\nname = "digits"\n')
    changes = [
        "training.epochs=5",
        "training.baseline = false",
        "model.name=digits",
        "training.learning_rate=1",
    ]
    recipe = Recipe.from_toml(path, changes)
    assert recipe.training.epochs == 5
    assert recipe.training.baseline is False
    assert recipe.differences(Recipe.from_toml(path)) == [
        "[training] epochs is 5 and 3",
        "[training] learning_rate is 1.0 and 0.001",
        "[training] baseline is False and True",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs=3", "'epochs=3' is no change: write it as training.epochs=3"),
        ("training.epochs", "'training.epochs' is no change: write it as training.epochs=3"),
        ("training.epoch=3", "epoch is not a key of [training]: did you mean epochs?"),
        ("training.epochs=many", "[training] epochs is 'many': it must be an integer"),
    ],
)
def test_mistaken_changes(tmp_path, change, message):
    path = write(tmp_path, "[training]\nepochs = 3\n")
    with pytest.raises(ConfigError) as caught:
        Recipe.from_toml(path, [change])
    assert str(caught.value) == f"{path}: {message}"


def test_not_toml(tmp_path):
    path = write(tmp_path, "[training\n")
    with pytest.raises(ConfigError, match=r"recipe\.toml: is not valid TOML: .*line 1"):
        Recipe.from_toml(path)


def test_not_text(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        Recipe.from_toml(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.toml", r"cannot be read .*"), (".", "is a folder"), ("pipe", "is a pipe")],
)
def test_unreadable(tmp_path, name, message):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=f"{message}.*: give the path of a recipe"):
        Recipe.from_toml(tmp_path / name)
