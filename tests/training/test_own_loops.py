"""Training loops of one's own: averages, several processes, half precision, and their runs."""

import contextlib
import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import adq
import adq.data
from adq.export import export
from adq.golden.artifact import read_artifact
from adq.runs.checkpoint import CheckpointError
from adq.runs.density_figures import draw, read_history
from adq.runs.integer_evaluation import evaluate_integers, evaluate_trained
from adq.runs.run import Run, RunError
from tests.training import user_functions

pytestmark = pytest.mark.testpoint(reason="training loops of users: nothing of the hardware")

RECIPE = adq.Recipe(
    training=adq.TrainingConfig(epochs=1),
    data=adq.DataConfig(name="tests.training.user_functions:images"),
    model=adq.ModelConfig(name="tests.training.user_functions:network"),
)
ONCE = adq.ControllerConfig(
    window=1, max_iterations=2, settling_epochs=1, pruning=True, minimum_channels=2, tile="",
    first_bits=16, last_bits=16,
)  # fmt: skip


class Loop:
    """A loop of 32 images a step."""

    def __init__(self, config: adq.ControllerConfig = ONCE, seed: int = 0):
        self.images = adq.data.load(RECIPE.data, seed=0, device="cpu")
        torch.manual_seed(seed)
        network = user_functions.network(self.images.shape, self.images.classes)
        self.prepared = adq.prepare(network, self.images.test_batch(slice(1)))
        self.controller = adq.Controller(self.prepared, config)
        self.optimizer = torch.optim.Adam(self.prepared.model.parameters(), 1e-2)
        self.wrapped: nn.Module = self.prepared.model

    def batches(self):
        none = torch.zeros(32, 3, dtype=torch.int64)
        for part in torch.arange(96).split(32):
            yield self.images.train_batch(part, none), self.images.train_labels[part]

    def epoch(self, *, context=contextlib.nullcontext, scaler=None, step_done=lambda: None):
        self.wrapped.train()
        for images, labels in self.batches():
            self.optimizer.zero_grad()
            with context():
                loss = functional.cross_entropy(self.wrapped(images), labels)
            if scaler is None:
                loss.backward()
                self.optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(self.optimizer)
                scaler.update()
            step_done()
        return loss.item()

    def decide(self) -> adq.Decision:
        return self.controller.step(optimizer=self.optimizer)

    def parameters(self) -> dict[str, torch.Tensor]:
        named = self.prepared.model.named_parameters()
        return {name: each.detach().clone() for name, each in named}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(each, other[n]) for n, each in one.items()
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    loop = Loop()
    recorder = adq.Recorder(
        folder, loop.prepared, loop.controller, recipe=RECIPE, images=loop.images
    )
    epochs = []
    for _ in range(5):
        loss = loop.epoch()
        epochs.append(recorder.epoch(loss=loss))
        loop.decide()
    metrics = recorder.finish()
    return folder, loop, epochs, metrics


def test_a_recorded_run_is_read_like_any_other(recorded, tmp_path):
    folder, loop, epochs, metrics = recorded
    run = Run.open(folder)
    assert run.read_metrics() == metrics
    assert metrics["recipe"]["training"]["epochs"] == 5
    assert [each["iteration"] for each in run.read_history()] == [1, 2, 2, 2, 2]
    assert metrics["mixed"]["accuracy"] == epochs[-1].accuracy > 0.8
    evaluation = evaluate_integers(run)
    assert evaluation.accuracy == epochs[-1].accuracy
    loop.prepared.model.eval()
    own = loop.prepared.model(loop.images.test_batch(slice(None))).argmax(1).numpy()
    assert (evaluation.trained_classes == own).all()
    assert evaluate_trained(run, iteration=1).accuracy == epochs[0].accuracy
    export(run, tmp_path / "four", images=3, bits=4)
    network = read_artifact(tmp_path / "four").network
    assert {layer.weight_bits for layer in network.matrix_layers} == {4}
    assert draw(read_history(folder), title="own").keys() >= {"density", "bits"}


def test_operating_points_of_a_recorded_run(recorded):
    *_, epochs, metrics = recorded
    first, last = metrics["operating_points"]
    assert (first["accuracy"], last["accuracy"]) == (epochs[0].accuracy, epochs[-1].accuracy)
    assert first["average_bits"] == 16
    assert last["average_bits"] < 16


def test_a_folder_that_holds_a_run(recorded):
    folder, loop, *_ = recorded
    with pytest.raises(RunError, match="holds a run already"):
        adq.Recorder(folder, loop.prepared, loop.controller, recipe=RECIPE, images=loop.images)


def test_a_recorder_that_is_called_at_the_wrong_time(tmp_path):
    loop = Loop()
    recorder = adq.Recorder(
        tmp_path / "run", loop.prepared, loop.controller, recipe=RECIPE, images=loop.images
    )
    with pytest.raises(RunError, match="no epoch was recorded"):
        recorder.finish()
    loop.epoch()
    loop.decide()
    with pytest.raises(RunError, match=r"after training batches, and before Controller\.step"):
        recorder.epoch(loss=1.0)


def test_a_recipe_of_another_network_is_refused_at_once(tmp_path):
    loop = Loop()
    other = dataclasses.replace(
        RECIPE, model=adq.ModelConfig(name="tests.training.user_functions:wider")
    )
    with pytest.raises(CheckpointError, match="the weights are of another network"):
        adq.Recorder(
            tmp_path / "run", loop.prepared, loop.controller, recipe=other, images=loop.images
        )
    assert not (tmp_path / "run").exists()


def test_an_average_over_steps(tmp_path):
    loop, decay = Loop(), 0.8
    loop.epoch()
    with pytest.raises(adq.PrepareError, match="give one of prepared"):
        loop.prepared.take_average(nn.Linear(1, 1))
    before = copy.deepcopy(loop.prepared.model)
    assert loop.decide() is adq.Decision.LOWER
    with pytest.raises(adq.PrepareError, match="make it anew"):
        loop.prepared.take_average(before)
    average = AveragedModel(
        loop.prepared.model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
    )
    steps = []

    def step_done():
        average.update_parameters(loop.prepared.model)
        steps.append(loop.parameters())

    loop.epoch(step_done=step_done)
    bits, channels = loop.prepared.bits, loop.prepared.channels
    loop.prepared.take_average(average)
    expected = steps[0]
    for each in steps[1:]:
        expected = {n: decay * old + (1 - decay) * each[n] for n, old in expected.items()}
    found = loop.parameters()
    assert all(torch.allclose(found[n], each, atol=1e-6) for n, each in expected.items())
    assert (loop.prepared.bits, loop.prepared.channels) == (bits, channels)
    images = loop.images.test_batch(slice(None))
    assert torch.equal(loop.prepared.model.eval()(images), average.eval()(images))
    adq.export.export_network(loop.prepared, tmp_path / "average", name="mean", images=images[:2])


@pytest.fixture
def one_process(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_pruning_under_distributed_data_parallel(one_process):
    plain, parallel = Loop(), Loop()
    parallel.wrapped = DistributedDataParallel(parallel.prepared.model)
    for _ in range(3):
        plain.epoch()
        parallel.epoch()
        decisions = {loop.decide() for loop in (plain, parallel)}
        assert len(decisions) == 1
        if decisions == {adq.Decision.LOWER}:
            parallel.wrapped = DistributedDataParallel(parallel.prepared.model)
    assert plain.prepared.channels["first"] < 8
    assert plain.prepared.channels == parallel.prepared.channels
    assert same(plain.parameters(), parallel.parameters())


def test_float16_with_a_scaled_loss_trains_as_float32():
    plain, scaled = Loop(), Loop()
    for _ in range(2):
        plain.epoch()
        scaled.epoch(
            context=lambda: torch.autocast("cpu", dtype=torch.float16),
            scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10),
        )
        assert plain.decide() is scaled.decide()
    assert plain.prepared.bits == scaled.prepared.bits
    one, other = plain.parameters(), scaled.parameters()
    assert all(torch.allclose(each, other[name], atol=1e-5) for name, each in one.items())


def test_gradients_that_accumulate_are_those_of_the_whole_batch():
    loop = Loop()
    loop.epoch()  # finds ranges
    loop.prepared.model.eval()  # batch norm sees the same in parts as in the whole
    (images, labels), *_ = loop.batches()
    gradients = []
    for size in (32, 8):
        loop.optimizer.zero_grad()
        for part in torch.arange(32).split(size):
            loss = functional.cross_entropy(loop.prepared.model(images[part]), labels[part])
            (loss * len(part) / 32).backward()
        parameters = loop.prepared.model.parameters()
        gradients.append([each.grad.clone() for each in parameters if each.grad is not None])
    whole, parts = gradients
    assert len(whole) == len(parts) > 5
    largest = max(each.abs().max().item() for each in whole)
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, atol=1e-5 * largest)


def test_a_schedule_goes_on_when_channels_have_left():
    loop = Loop()
    schedule = torch.optim.lr_scheduler.ExponentialLR(loop.optimizer, 0.5)
    rates = []
    for _ in range(3):
        loop.epoch()
        schedule.step()
        loop.decide()
        rates.append(loop.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([5e-3, 2.5e-3, 1.25e-3])
    assert loop.prepared.channels["first"] < 8
