"""Training on real digits: short runs, their folders, crashes, and what may go wrong."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch

import adq.runs.checkpoint
import adq.runs.run
import adq.training.network_training
from adq.runs.checkpoint import Checkpoint, CheckpointError
from adq.runs.history import Epoch
from adq.runs.run import Run
from adq.training.config import ControllerConfig, Recipe, TrainingConfig
from adq.training.observer import Observer
from adq.training.processes import TrainingError, emulates_bfloat16
from adq.training.session import train

SHORT = Recipe(
    training=TrainingConfig(epochs=4, seed=5),
    controller=ControllerConfig(
        window=1, max_iterations=3, settling_epochs=2, first_bits=16, last_bits=16
    ),
)


def changed(recipe: Recipe = SHORT, **tables) -> Recipe:
    """Return a recipe with other values, ``table={key: value}``."""
    replaced = {
        name: dataclasses.replace(getattr(recipe, name), **values)
        for name, values in tables.items()
    }
    return dataclasses.replace(recipe, **replaced)


class Recorder(Observer):
    def __init__(self):
        self.epochs = []
        self.steps = 0

    def step(self, network):
        self.steps += 1

    def epoch(self, epoch):
        self.epochs.append(epoch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("short") / "run", SHORT)
    recorder = Recorder()
    metrics = train(SHORT, run, recorder)
    return run, recorder.epochs, metrics


def test_bits_fall_with_the_densities_that_were_measured(trained):
    _, epochs, metrics = trained
    mixed = [epoch for epoch in epochs if epoch.network == "mixed"]
    assert [epoch.iteration for epoch in mixed] == [1, 2, 3, 3]
    first, *middle, last = mixed[0].bits
    for before, after in itertools.pairwise(mixed[:3]):
        for layer in middle:
            product = before.bits[layer] * before.density[layer]
            assert after.bits[layer] == max(2, int(product + 0.5)) < before.bits[layer]
        assert after.bits[first] == after.bits[last] == 16
    assert metrics["mixed"]["bits"] == mixed[-1].bits
    assert metrics["mixed"]["density"] == mixed[-1].density
    assert [each["epochs"] for each in metrics["mixed"]["iterations"]] == [1, 1, 2]


def baseline_of(run: Run) -> list[Epoch]:
    """Return all epochs of a run's baseline."""
    epochs = [Epoch(**line) for line in run.read_history()]
    return [epoch for epoch in epochs if epoch.network == "baseline"]


def test_the_baseline_keeps_its_bits_and_starts_the_same(trained):
    run, epochs, metrics = trained
    baseline = baseline_of(run)
    assert len(baseline) == 4
    assert all(set(epoch.bits.values()) == {16} for epoch in baseline)
    assert baseline[0].loss == epochs[0].loss
    assert metrics["accuracy_difference"] == epochs[3].accuracy - baseline[-1].accuracy


def test_it_learns(trained):
    run, _, metrics = trained
    assert metrics["baseline"]["accuracy"] > 0.9
    assert baseline_of(run)[-1].loss < baseline_of(run)[0].loss / 2


@pytest.mark.parametrize(
    ("first_bits", "shared"), [(16, 1), pytest.param(8, 0, marks=pytest.mark.slow)]
)
def test_the_baseline_shares_the_first_iteration(tmp_path, monkeypatch, first_bits, shared):
    """Epochs of a shared iteration are trained once, with the result of training all of them."""
    recipe = changed(controller={"first_bits": first_bits})
    recorders, runs = {}, {}
    for name in ("shared", "whole"):
        if name == "whole":
            monkeypatch.setattr("adq.training.session._Session._begun", lambda self, name: None)
        recorders[name] = Recorder()
        runs[name] = Run.create(tmp_path / name, recipe)
        train(recipe, runs[name], recorders[name])
    steps = [recorders[name].steps for name in ("whole", "shared")]
    assert steps[0] - steps[1] == shared * steps[0] // 8
    assert runs["shared"].history.read_text() == runs["whole"].history.read_text()
    ours, whole = (
        dataclasses.replace(Checkpoint.load(run.baseline), seconds=0, path=None)
        for run in runs.values()
    )
    assert same(dataclasses.asdict(ours), dataclasses.asdict(whole))


def test_the_folder_holds_what_was_reported(trained):
    run, epochs, metrics = trained
    lines = run.read_history()
    # The first epoch of the baseline is the mixed network's.
    assert lines.pop(4) | {"network": "mixed"} == lines[0]
    assert lines == [dataclasses.asdict(epoch) for epoch in epochs]
    assert run.read_metrics() == json.loads(json.dumps(metrics))
    assert run.read_recipe() == SHORT
    assert {path.name for path in run.path.iterdir()} == {
        "baseline.pt",
        "checkpoint.pt",
        "config.toml",
        "history.jsonl",
        "iterations",
        "metrics.json",
    }


def test_the_costs_of_the_run(trained):
    _, epochs, metrics = trained
    macs = epochs[0].macs
    fewer = {
        epoch.iteration: sum(macs.values())
        / sum(macs[layer] * epoch.bits[layer] / 16 for layer in macs)
        for epoch in epochs[:4]
    }
    assert metrics["mixed"]["mac_reduction"] == pytest.approx(fewer[3])
    complexity = (1 + 1 / fewer[2] + 2 / fewer[3]) / 4
    assert metrics["mixed"]["training_complexity"] == pytest.approx(complexity)
    assert metrics["baseline"]["training_complexity"] == 1


def test_a_checkpoint_rebuilds_the_network(trained):
    run, _, metrics = trained
    checkpoint = Checkpoint.load(run.mixed, recipe=SHORT)
    assert checkpoint.build().bits == metrics["mixed"]["bits"]
    assert checkpoint.densities == metrics["mixed"]["density"]
    assert checkpoint.epoch == 4
    assert checkpoint.progress is None


def same(one, other) -> bool:
    """Return whether two nests of plain values and tensors are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


# Channels leave as well, so that a resumed network has another shape than a new one; and it learns
# from the network of the first iteration, which is then to be found again.
CRASHING = changed(
    training={"epochs": 3, "checkpoint_steps": 3, "batch_size": 100, "distillation": 0.5},
    data={"train_images": 450, "crop": 1, "flip": True},
    controller={"settling_epochs": 1, "pruning": True, "minimum_channels": 2, "tile": ""},
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", CRASHING)
    train(CRASHING, run)
    shapes = [list(epoch["channels"].values()) for epoch in run.read_history()[:3]]
    assert shapes[0] > shapes[1]
    return run


def kill(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(calls: int, function, accident=kill):
    """Wrap a function: the given call of it has an accident in its place."""
    count = itertools.count(1)

    def wrapped(*args, **kwargs):
        if next(count) == calls:
            accident(*args, **kwargs)
        return function(*args, **kwargs)

    return wrapped


def half_a_file(content, file) -> None:
    file.write(b"half of a checkpoint")
    file.flush()
    kill()


MOMENTS = {
    "before the first checkpoint": (
        "adq.training.network_training.functional.cross_entropy",
        2,
        kill,
    ),
    "within an epoch": ("adq.training.network_training.functional.cross_entropy", 9, kill),
    "before an AD update": ("adq.training.network_training.Controller.step", 1, kill),
    "inside an AD update, channels gone": ("adq.quantization.prepared.Prepared.set_bits", 1, kill),
    "in the epoch after an AD update": (
        "adq.training.network_training.functional.cross_entropy",
        6,
        kill,
    ),
    "writing a checkpoint": ("adq.runs.checkpoint.torch.save", 3, half_a_file),
    "writing the history": ("adq.runs.run.write_text", 2, kill),
    "between the networks": ("adq.training.session.NetworkTraining", 2, kill),
    "in the baseline": ("adq.training.network_training.functional.cross_entropy", 24, kill),
    "writing the metrics": ("adq.runs.run.write_bytes", 1, kill),
}


OFTEN = (
    "within an epoch",
    "inside an AD update, channels gone",
    "writing a checkpoint",
    "in the baseline",
)
"""Moments of each kind; the others run with the slow tests."""


def train_until(recipe: Recipe, path: Path, target: str, calls: int, accident) -> None:
    """Train in a process of its own, which must be killed."""
    pid = os.fork()
    if pid == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                owner, name = target.rsplit(".", 1)
                original = _resolve(target)
                patch.setattr(_resolve(owner), name, after(calls, original, accident))
                train(recipe, Run.resume(path, recipe))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the process came to its end before it was killed"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _resolve(name: str):
    """Find what a dotted name stands for."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is not None:
            found = module
            for part in parts[length:]:
                found = getattr(found, part)
            return found
    raise LookupError(name)


@pytest.mark.parametrize(
    "moment",
    [pytest.param(each, marks=() if each in OFTEN else pytest.mark.slow) for each in MOMENTS],
)
def test_killed_and_resumed_gives_the_same_bits(uninterrupted, tmp_path, moment):
    path = tmp_path / "run"
    train_until(CRASHING, path, *MOMENTS[moment])
    run = Run.resume(path, CRASHING)
    train(CRASHING, run)
    assert list(run.iterations()) == list(uninterrupted.iterations()) == [1, 2]
    files = {
        "mixed": lambda each: each.mixed,
        "baseline": lambda each: each.baseline,
        "iteration 1": lambda each: each.iteration(1),
        "iteration 2": lambda each: each.iteration(2),
    }
    for name, file in files.items():
        ours, whole = (
            # When and where it was trained is all that may differ.
            dataclasses.replace(Checkpoint.load(file(each)), seconds=0, path=None)
            for each in (run, uninterrupted)
        )
        assert same(dataclasses.asdict(ours), dataclasses.asdict(whole)), name
    assert run.history.read_text() == uninterrupted.history.read_text()
    times = {"mixed": {"seconds": 0}, "baseline": {"seconds": 0}}
    ours, whole = (
        {
            key: value | times.get(key, {}) if isinstance(value, dict) else value
            for key, value in each.read_metrics().items()
        }
        for each in (run, uninterrupted)
    )
    assert ours == whole
    remains = [each.name for each in path.iterdir() if each.name.startswith(".")]
    assert remains == []


def test_one_that_differs_would_be_seen(uninterrupted, trained):
    checkpoints = [Checkpoint.load(run.mixed) for run in (uninterrupted, trained[0])]
    assert not same(*(dataclasses.asdict(each) for each in checkpoints))


def test_resuming_a_finished_run_trains_nothing(uninterrupted):
    before = uninterrupted.mixed.read_bytes()
    recorder = Recorder()
    train(CRASHING, uninterrupted, recorder)
    assert recorder.steps == 0
    assert uninterrupted.mixed.read_bytes() == before


def test_a_loss_that_is_no_number_is_named_and_keeps_the_last_checkpoint(tmp_path):
    recipe = changed(training={"baseline": False})
    run = Run.create(tmp_path / "run", recipe)

    class Spoiler(Observer):
        def begin(self, network):
            self.network = network

        def epoch(self, epoch):
            if epoch.epoch == 2:
                with torch.no_grad():
                    next(self.network.prepared.model.parameters()).fill_(float("nan"))

    with pytest.raises(TrainingError) as caught:
        train(recipe, run, Spoiler())
    assert str(caught.value).startswith("the loss of the mixed network is nan in epoch 3: lower")
    assert "the checkpoint of epoch 2 stays" in str(caught.value)
    checkpoint = Checkpoint.load(run.mixed)
    assert checkpoint.epoch == 2
    values = [value for value in checkpoint.state.values() if isinstance(value, torch.Tensor)]
    assert all(value.isfinite().all() for value in values if value.is_floating_point())
    assert not run.finished


@pytest.mark.parametrize(
    ("precision", "capability", "emulated"),
    [
        ("bfloat16", "AVX2", True),
        ("bfloat16", "AVX512", False),
        ("float32", "AVX2", False),
        ("auto", "AVX2", False),
    ],
)
def test_processors_that_lack_bfloat16_are_known(monkeypatch, precision, capability, emulated):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert emulates_bfloat16(TrainingConfig(epochs=1, precision=precision)) is emulated


@pytest.mark.parametrize("device", ["cuda:99", "abacus", "meta"])
def test_a_device_that_is_not_there(tmp_path, device):
    recipe = changed(training={"device": device})
    with pytest.raises(TrainingError, match=f'device {device!r} cannot be used .*"cpu"'):
        train(recipe, Run.create(tmp_path / "run", recipe))


def test_the_last_step_may_be_too_small_to_take(tmp_path):
    recipe = changed(
        training={"epochs": 1, "baseline": False, "batch_size": 64}, data={"train_images": 129}
    )
    recorder = Recorder()
    train(recipe, Run.create(tmp_path / "run", recipe), recorder)
    assert recorder.steps == 2


def test_too_few_images_for_a_step(tmp_path):
    recipe = changed(data={"train_images": 1})
    with pytest.raises(TrainingError, match=r"train_images in .data. gives 1 images: each of 1"):
        train(recipe, Run.create(tmp_path / "run", recipe))


@pytest.mark.parametrize(
    "damage", ["absent", "empty", "truncated", "bit", "text", "other", "version"]
)
def test_damaged_checkpoints(trained, tmp_path, damage):
    run, _, _ = trained
    content = run.mixed.read_bytes()
    path = tmp_path / "checkpoint.pt"
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "bit":
            state = Checkpoint.load(run.mixed).state
            weight = state["network.linear.weight"].numpy().tobytes()
            place = content.index(weight) + len(weight) // 2
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        case "text":
            path.write_text("no checkpoint")
        case "other":
            torch.save({"format": adq.runs.checkpoint.FORMAT, "weights": torch.ones(3)}, path)
        case "version":
            torch.save({"format": 99}, path)
    expected = {
        "absent": "there is no checkpoint",
        "version": f"has format 99, and this version reads {adq.runs.checkpoint.FORMAT}",
    }.get(damage, "is damaged or no checkpoint")
    with pytest.raises(CheckpointError, match=expected):
        Checkpoint.load(path)


def test_a_truncated_checkpoint_is_not_resumed_over(tmp_path):
    recipe = changed(training={"epochs": 1, "baseline": False})
    run = Run.create(tmp_path / "run", recipe)
    train(recipe, run)
    run.mixed.write_bytes(run.mixed.read_bytes()[:-1000])
    before = run.mixed.read_bytes()
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: is damaged"):
        train(recipe, Run.resume(run.path, recipe))
    assert run.mixed.read_bytes() == before


def test_a_checkpoint_from_before_a_key_had_its_default(trained, tmp_path):
    run, _, _ = trained
    content = torch.load(run.mixed, weights_only=True)
    del content["recipe"]["controller"]["minimum_kept"]
    torch.save(content, tmp_path / "older.pt")
    recipe = run.read_recipe()
    assert Checkpoint.load(tmp_path / "older.pt", recipe=recipe).build().bits
    more = dataclasses.replace(recipe.controller, minimum_kept=0.5)
    with pytest.raises(CheckpointError, match="by another recipe than this run's"):
        Checkpoint.load(tmp_path / "older.pt", recipe=dataclasses.replace(recipe, controller=more))


def test_a_checkpoint_of_another_network(trained, tmp_path):
    run, _, _ = trained
    with pytest.raises(CheckpointError, match="by another recipe than this run's"):
        Checkpoint.load(run.mixed, recipe=CRASHING)
    checkpoint = Checkpoint.load(run.mixed)
    name = next(name for name, value in checkpoint.state.items() if name.endswith("weight"))
    del checkpoint.state[name]
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: the weights are of another"):
        checkpoint.build()


def test_two_processes_take_the_same_decisions(trained, tmp_path):
    _, epochs, _ = trained
    recipe = changed(training={"baseline": False})
    config = tmp_path / "recipe.toml"
    config.write_text(recipe.to_toml())
    out = tmp_path / "run"
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "adq"]
    result = subprocess.run(
        [sys.executable, *command, "train", str(config), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    run = Run.open(out)
    assert run.read_metrics()["device"] == "CPU, 2 processes"
    both = run.read_history()
    assert [epoch["bits"] for epoch in both] == [epoch.bits for epoch in epochs[:4]]
    assert [epoch["iteration"] for epoch in both] == [epoch.iteration for epoch in epochs[:4]]
    # Both train on the same images in the same order; batch norm alone sees half of each batch.
    assert both[0]["loss"] == pytest.approx(epochs[0].loss, rel=0.02)
    assert both[0]["density"] == pytest.approx(epochs[0].density, abs=0.01)
