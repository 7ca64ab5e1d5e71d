"""Training on real digits: short runs, their folders, and what may go wrong."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

from adq.checkpoint import Checkpoint, CheckpointError
from adq.config import ControllerConfig, Recipe, TrainingConfig
from adq.layers import quantized_layers
from adq.run import Run, RunError
from adq.training import TrainingError, train

SHORT = Recipe(
    training=TrainingConfig(epochs=4, seed=5),
    controller=ControllerConfig(window=1, max_iterations=3, settling_epochs=2),
)


def start(folder: Path) -> Run:
    config = folder / "recipe.toml"
    config.write_text("[training]\nepochs = 4\n")
    return Run.create(folder / "run", config, overwrite=False)


def changed(**training) -> Recipe:
    return dataclasses.replace(SHORT, training=dataclasses.replace(SHORT.training, **training))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = start(tmp_path_factory.mktemp("short"))
    epochs = []
    metrics = train(SHORT, run, epochs.append)
    return run, epochs, metrics


def test_bits_fall_with_the_densities_that_were_measured(trained):
    _, epochs, metrics = trained
    mixed = [epoch for epoch in epochs if epoch.network == "mixed"]
    assert [epoch.iteration for epoch in mixed] == [1, 2, 3, 3]
    for before, after in itertools.pairwise(mixed[:3]):
        for layer in ("conv2", "conv3"):
            product = before.bits[layer] * before.density[layer]
            assert after.bits[layer] == max(2, int(product + 0.5)) < before.bits[layer]
        assert after.bits["conv1"] == after.bits["linear"] == 16
    assert metrics["mixed"]["bits"] == mixed[-1].bits
    assert metrics["mixed"]["density"] == mixed[-1].density
    assert [each["epochs"] for each in metrics["mixed"]["iterations"]] == [1, 1, 2]


def test_the_baseline_keeps_its_bits_and_starts_the_same(trained):
    _, epochs, metrics = trained
    baseline = [epoch for epoch in epochs if epoch.network == "baseline"]
    assert len(baseline) == 4
    assert all(set(epoch.bits.values()) == {16} for epoch in baseline)
    assert baseline[0].loss == epochs[0].loss
    assert metrics["accuracy_difference"] == epochs[3].accuracy - baseline[-1].accuracy


def test_it_learns(trained):
    _, epochs, metrics = trained
    assert metrics["baseline"]["accuracy"] > 0.9
    assert epochs[-1].loss < epochs[4].loss / 2


def test_the_folder_holds_what_was_reported(trained):
    run, epochs, metrics = trained
    lines = run.history.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [dataclasses.asdict(epoch) for epoch in epochs]
    assert run.read_metrics() == json.loads(json.dumps(metrics))
    assert sorted(path.name for path in run.path.iterdir()) == [
        "baseline.pt",
        "checkpoint.pt",
        "config.toml",
        "history.jsonl",
        "metrics.json",
    ]


def test_a_checkpoint_rebuilds_the_network(trained):
    run, _, metrics = trained
    checkpoint = Checkpoint.load(run.mixed)
    layers = quantized_layers(checkpoint.build())
    assert {name: layer.bits for name, layer in layers.items()} == metrics["mixed"]["bits"]
    assert checkpoint.densities == metrics["mixed"]["density"]
    assert checkpoint.epoch == 4


def test_the_same_seed_gives_the_same_bits(trained, tmp_path):
    run, _, metrics = trained
    again = start(tmp_path)
    assert (
        train(changed(baseline=False), again, lambda epoch: None)["mixed"]["density"]
        == (metrics["mixed"]["density"])
    )
    states = [Checkpoint.load(each.mixed).state for each in (run, again)]
    for name, value in states[0].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, states[1][name]), name


def test_a_loss_that_is_no_number_is_named_and_keeps_the_last_checkpoint(tmp_path):
    run = start(tmp_path)
    recipe = changed(baseline=False)

    def spoil(epoch):
        # The learning rate of the next epoch lifts the weights out of float32.
        if epoch.epoch == 2:
            for group in optimizers[0].param_groups:
                group["lr"] = 1e38

    optimizers = []
    adam = torch.optim.Adam

    def remember(*args, **kwargs):
        optimizers.append(adam(*args, **kwargs))
        return optimizers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", remember)
        with pytest.raises(TrainingError) as caught:
            train(recipe, run, spoil)
    assert str(caught.value).startswith("the loss of the mixed network is nan in epoch 3: lower")
    assert "the checkpoint of epoch 2 stays" in str(caught.value)
    checkpoint = Checkpoint.load(run.mixed)
    assert checkpoint.epoch == 2
    values = [value for value in checkpoint.state.values() if isinstance(value, torch.Tensor)]
    assert all(value.isfinite().all() for value in values)
    assert not run.metrics.exists()


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there(tmp_path, device):
    with pytest.raises(TrainingError, match=f'device {device!r} cannot be used .*"cpu"'):
        train(changed(device=device), start(tmp_path), lambda epoch: None)


def test_a_run_is_not_overwritten_by_accident(trained):
    run, _, _ = trained
    before = run.metrics.read_text()
    with pytest.raises(RunError, match="holds a run already"):
        Run.create(run.path, run.config, overwrite=False)
    assert run.metrics.read_text() == before


def test_overwriting_leaves_nothing_of_the_old_run(trained, tmp_path):
    run, _, _ = trained
    old = tmp_path / "old"
    old.mkdir()
    for path in run.path.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    Run.create(old, run.config, overwrite=True)
    assert [path.name for path in old.iterdir()] == ["config.toml"]


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(RunError, match="holds no finished run: train one with adq train"):
        Run.open(tmp_path)


@pytest.mark.parametrize("damage", ["absent", "empty", "truncated", "text", "other", "version"])
def test_damaged_checkpoints(trained, tmp_path, damage):
    run, _, _ = trained
    content = run.mixed.read_bytes()
    path = tmp_path / "checkpoint.pt"
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "text":
            path.write_text("no checkpoint")
        case "other":
            torch.save({"format": 1, "weights": torch.ones(3)}, path)
        case "version":
            torch.save({"format": 99}, path)
    expected = {
        "absent": "there is no checkpoint",
        "version": "has format 99, and this version reads 1",
    }.get(damage, "is damaged or no checkpoint")
    with pytest.raises(CheckpointError, match=expected):
        Checkpoint.load(path)
