"""Recipes that name the user's own functions, and weights to start from."""

import dataclasses
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import adq.data
from adq.cost.sources import read_networks
from adq.data.config import DataConfig
from adq.data.hub import DataError
from adq.export import export
from adq.fields import ConfigError
from adq.golden.artifact import read_artifact
from adq.models import ModelError, build
from adq.models.weights import load_weights
from adq.own_code import call
from adq.runs.density_figures import draw, read_history
from adq.runs.integer_evaluation import evaluate_trained
from adq.runs.run import Run
from adq.training.config import ControllerConfig, ModelConfig, Recipe, TrainingConfig
from adq.training.processes import TrainingError
from adq.training.session import train

pytestmark = pytest.mark.testpoint(reason="the user's own functions: nothing of the hardware")

SOURCE = Path(__file__).with_name("user_functions.py").read_text()


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Name of a module in the present folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "users_module.py").write_text(SOURCE)
    (folder / "broken_module.py").write_text("import module_that_is_nowhere\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield "users_module"
    for name in ("users_module", "broken_module"):
        sys.modules.pop(name, None)


def recipe(module: str, **model) -> Recipe:
    return Recipe(
        training=TrainingConfig(epochs=6, learning_rate=1e-2, batch_size=32, baseline=False),
        data=DataConfig(name=f"{module}:images"),
        model=ModelConfig(name=f"{module}:network", **model),
        controller=ControllerConfig(
            window=1,
            settling_epochs=3,
            pruning=True,
            minimum_channels=2,
            tile="",
            climb=1.0,
            first_bits=16,
            last_bits=16,
        ),
    )


@pytest.fixture(scope="module")
def run(module, tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("run") / "mine", recipe(module))
    train(recipe(module), run)
    return run


def test_a_network_and_images_of_ones_own(run):
    metrics = run.read_metrics()
    mixed = metrics["mixed"]
    assert mixed["accuracy"] > 0.9
    assert mixed["bits"]["second"] < 16
    assert mixed["channels"]["first"] < 8
    assert metrics["data"]["train_images"] == 96
    assert evaluate_trained(run).accuracy == mixed["accuracy"]
    assert Recipe.from_toml(run.config) == run.read_recipe()


def test_such_a_run_is_exported_at_other_bits_and_drawn(run, tmp_path):
    export(run, tmp_path / "four", images=5, bits=4)
    network = read_artifact(tmp_path / "four").network
    assert network.name == "network"
    assert {layer.weight_bits for layer in network.matrix_layers} == {4}
    export(run, tmp_path / "first", images=5, iteration=1)
    first = read_artifact(tmp_path / "first").network
    assert {layer.weight_bits for layer in first.matrix_layers} == {16}
    assert draw(read_history(run.path), title="mine").keys() >= {"density", "bits"}


def test_the_cost_of_such_a_run(run):
    (work,) = read_networks(run.path)
    mixed = run.read_metrics()["mixed"]
    assert {layer.name: layer.macs for layer in work.layers} == mixed["macs"]
    assert {layer.name: layer.bits for layer in work.layers} == mixed["bits"]
    assert work.reduction("mac_bits") == pytest.approx(mixed["mac_reduction"])
    whole = {layer.name: layer.macs for layer in work.baseline}
    assert whole == {"first": 36 * 9 * 2 * 8, "second": 36 * 9 * 8 * 8, "head": 8 * 36 * 3}


def test_a_module_that_is_gone(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "users_module")
    with pytest.raises(ConfigError, match=r"users_module:network: there is no module users_module"):
        evaluate_trained(run)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:network", "there is no module nowhere: run adq in the folder that holds it"),
        ("broken_module:network", "failed with ModuleNotFoundError: No module named 'module_that"),
        ("users_module:none", "users_module has no function none"),
        ("users_module:numpy", "users_module has no function numpy"),
        ("users_module:failing", r"RuntimeError: no luck today \(users_module.py, line"),
    ],
)
def test_functions_that_cannot_be_called(module, name, message):
    with pytest.raises(ConfigError, match=message):
        call(name)


@pytest.mark.parametrize("name", ["a:", ":b", "a b:c", "a:b:c", "../a:b", "1a:b"])
def test_names_that_are_none(name):
    for config in (ModelConfig, DataConfig):
        with pytest.raises(ConfigError, match="is written module:function"):
            config(name=name)
    with pytest.raises(ConfigError, match=r"digits, .*, module:function"):
        ModelConfig(name="other")


def test_networks_that_do_not_suit(module, tmp_path):
    with pytest.raises(ModelError, match=r"returned NoneType: it must return a torch\.nn\.Module"):
        build(f"{module}:nothing", (2, 6, 6), 3)
    other = dataclasses.replace(recipe(module), model=ModelConfig(name=f"{module}:headless"))
    with pytest.raises(TrainingError, match=r"returns \(N, 3, 4, 4\): .* \(N, 3\)"):
        train(other, Run.create(tmp_path / "run", other))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "returned NoneType: it must return training images"),
        ("floats", r"training images are float64 \(96, 2, 6, 6\): they must be uint8"),
        ("fewer_labels", r"labels of training images are int64 \(95,\): they must be"),
        ("other_labels", "a test image has the label 3, and training images have 0 to 2"),
    ],
)
def test_images_that_are_refused(module, function, message):
    with pytest.raises(DataError, match=message):
        adq.data.load(DataConfig(name=f"{module}:{function}"), seed=0, device="cpu")


def test_a_path_beside_a_function():
    with pytest.raises(ConfigError, match="finds its own images"):
        DataConfig(name="users_module:images", path="here")


@pytest.mark.parametrize("form", ["pt", "wrapped", "parallel", "safetensors"])
def test_weights_to_start_from(tmp_path, form):
    torch.manual_seed(1)
    source = build("digits", (1, 8, 8), 10)
    state = source.state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(state, path)
    elif form == "wrapped":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif form == "parallel":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    other = build("digits", (1, 8, 8), 10)
    load_weights(other, path)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(source.eval()(images), other.eval()(images))


def test_training_starts_from_them(module, tmp_path):
    torch.manual_seed(2)
    source = build(f"{module}:network", (2, 6, 6), 3)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    started = recipe(module, weights=str(tmp_path / "w.pt"))
    still = dataclasses.replace(started.training, epochs=1, learning_rate=1e-12)
    controller = ControllerConfig(window=1, max_iterations=1, tile="")
    started = dataclasses.replace(started, training=still, controller=controller)
    run = Run.create(tmp_path / "run", started)
    train(started, run)
    state = torch.load(run.mixed, weights_only=True)["state"]
    kept = state["network.second.weight"]
    assert torch.allclose(kept, source.second.weight, atol=1e-9)


def _states() -> dict:
    state = build("digits", (1, 8, 8), 10).state_dict()
    first = next(iter(state))
    return {
        "lacks conv1.weight": {k: v for k, v in state.items() if k != first},
        "has besides extra": {**state, "extra": torch.zeros(1)},
        r"conv1.weight is \(1,\) in it and \(16, 1, 3, 3\)": {**state, first: torch.zeros(1)},
        "no finite numbers": {**state, first: state[first] * np.nan},
        "holds no weights: give": {"epoch": 3},
    }


@pytest.mark.parametrize("message", _states())
def test_weights_of_another_network(tmp_path, message):
    torch.save(_states()[message], tmp_path / "w.pt")
    with pytest.raises(ModelError, match=message):
        load_weights(build("digits", (1, 8, 8), 10), tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_files_that_hold_no_weights(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    message = "is not there" if content is None else "is damaged or no file of weights: give"
    with pytest.raises(ModelError, match=message):
        load_weights(build("digits", (1, 8, 8), 10), tmp_path / name)


def test_weights_are_held_against_the_files_size_and_checksums(tmp_path):
    """A part that was packed, and a byte of a weight that was changed."""
    place = tmp_path / "w.pt"
    torch.save(build("digits", (1, 8, 8), 10).state_dict(), place)
    data = bytearray(place.read_bytes())
    with zipfile.ZipFile(place) as parts:
        whole = {part.filename: parts.read(part) for part in parts.infolist()}
        weight = next(content for name, content in whole.items() if name.endswith("data/0"))
    data[data.index(weight) + 2] ^= 1
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, content in whole.items():
            parts.writestr(name, content)
    for damaged in (bytes(data), packed.getvalue()):
        place.write_bytes(damaged)
        with pytest.raises(ModelError, match="is damaged or no file of weights"):
            load_weights(build("digits", (1, 8, 8), 10), place)


def test_weights_in_the_older_form_of_torch_save(tmp_path):
    given, found = (build("digits", (1, 8, 8), 10) for _ in range(2))
    torch.save(given.state_dict(), tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    load_weights(found, tmp_path / "w.pt")
    pairs = zip(given.state_dict().values(), found.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
