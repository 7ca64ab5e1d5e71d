"""Training: one loop for the mixed-precision network and for its baseline."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

import adq.data
from adq.checkpoint import Checkpoint
from adq.config import Recipe, TrainingConfig
from adq.controller import Controller, Decision
from adq.data.images import Images
from adq.density import DensityMeter
from adq.files import write_json, write_text
from adq.layers import quantized_layers, relus, set_bits
from adq.models import ARCHITECTURES
from adq.models.vgg import Vgg
from adq.run import Run

EVALUATION_BATCH = 1024
"""Images of one forward pass in evaluation."""


class TrainingError(RuntimeError):
    """Training that cannot go on."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch of one network left behind: a line of the history."""

    network: str
    """``mixed`` or ``baseline``."""
    epoch: int
    """Epochs trained, this one included."""
    iteration: int
    """Iteration of the controller, from 1."""
    loss: float
    """Mean cross entropy over the training images."""
    accuracy: float
    """Share of the test images that are classified correctly."""
    density: dict[str, float]
    """Activation density of each layer that has one."""
    bits: dict[str, int]
    """Precision of each layer in this epoch."""


Report = Callable[[Epoch], None]


def train(recipe: Recipe, run: Run, report: Report) -> dict[str, Any]:
    """Train what a recipe asks for, and return what was written to the run's metrics.

    ``report`` is called after each epoch.

    Raises
    ------
    TrainingError
        The device cannot be used, or the loss is no longer finite. The checkpoint of the last
        good epoch stays.

    """
    training = recipe.training
    networks = {"mixed": run.mixed}
    if training.baseline:
        networks["baseline"] = run.baseline
    history: list[Epoch] = []

    def record(epoch: Epoch) -> None:
        history.append(epoch)
        lines = (json.dumps(dataclasses.asdict(each)) for each in history)
        write_text(run.history, "".join(f"{line}\n" for line in lines))
        report(epoch)

    metrics: dict[str, Any] = {"seed": training.seed, "torch": torch.__version__}
    with _reproducible(training):
        images = adq.data.load(recipe.data, seed=training.seed, device=find_device(training.device))
        for name, path in networks.items():
            start = time.monotonic()
            network = _Network(name, recipe, images)
            for epoch in network.epochs():
                network.checkpoint().save(path)
                record(epoch)
            metrics[name] = {
                **_summary([epoch for epoch in history if epoch.network == name]),
                "converged": network.controller.converged,
                "seconds": round(time.monotonic() - start, 1),
            }
    if training.baseline:
        metrics["accuracy_difference"] = (
            metrics["mixed"]["accuracy"] - metrics["baseline"]["accuracy"]
        )
    write_json(run.metrics, metrics)
    return metrics


def find_device(name: str) -> torch.device:
    """Return a device that can be used, or raise a ``TrainingError``."""
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f'device {name!r} cannot be used ({reason}): set device = "cpu" in [training]'
        ) from None


@torch.no_grad()
def classify(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Classes of images (N, C, H, W) by a model: int64 (N,)."""
    training = model.training
    model.eval()
    classes = [model(batch).argmax(1) for batch in images.split(EVALUATION_BATCH)]
    model.train(training)
    return torch.cat(classes)


class _Network:
    """A network in training, with all that belongs to it."""

    def __init__(self, name: str, recipe: Recipe, images: Images):
        self.name = name
        self.training = recipe.training
        self.images = images
        self.arguments = {
            "architecture": list(ARCHITECTURES[recipe.model.name]),
            "input_shape": images.shape,
            "classes": images.classes,
            "bits": recipe.controller.initial_bits,
            "activation_range": recipe.quantization.activation_range,
        }
        # The baseline starts from the same weights and sees the same images in the same order.
        torch.manual_seed(self.training.seed)
        self.order = torch.Generator().manual_seed(self.training.seed)
        self.model = Vgg(**self.arguments).to(images.train_images.device)
        # A baseline is a network whose first iteration is its last.
        only_one = {"max_iterations": 1} if name == "baseline" else {}
        self.controller = Controller(
            list(quantized_layers(self.model)), dataclasses.replace(recipe.controller, **only_one)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.training.learning_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimizer, T_max=self.training.epochs
        )
        self.densities: dict[str, float] = {}
        self.epoch = 0

    def epochs(self) -> Iterator[Epoch]:
        """Train, one epoch at a time."""
        with DensityMeter(relus(self.model)) as meter:
            while self.epoch < self.training.epochs:
                loss = self._train_epoch()
                self.epoch += 1
                self.densities = meter.take()
                correct = classify(self.model, self.images.test_images) == self.images.test_labels
                yield Epoch(
                    network=self.name,
                    epoch=self.epoch,
                    iteration=self.controller.iteration,
                    loss=loss,
                    accuracy=correct.double().mean().item(),
                    density=self.densities,
                    bits=dict(self.controller.bits),
                )
                remaining = self.training.epochs - self.epoch
                if self.controller.observe(self.densities, remaining) is Decision.LOWER:
                    set_bits(self.model, self.controller.bits)

    def checkpoint(self) -> Checkpoint:
        """Return the network as it is now."""
        return Checkpoint(
            model=self.arguments,
            state=self.model.state_dict(),
            densities=self.densities,
            epoch=self.epoch,
        )

    def _train_epoch(self) -> float:
        """Pass once over the training images; return their mean loss."""
        images, labels = self.images.train_images, self.images.train_labels
        self.model.train()
        total = torch.zeros((), device=images.device)
        order = torch.randperm(len(images), generator=self.order).to(images.device)
        for batch in order.split(self.training.batch_size):
            loss = functional.cross_entropy(self.model(images[batch]), labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
        self.schedule.step()
        mean = total.item() / len(images)
        if not math.isfinite(mean):
            kept = f"the checkpoint of epoch {self.epoch} stays" if self.epoch else "none is kept"
            raise TrainingError(
                f"the loss of the {self.name} network is {mean} in epoch {self.epoch + 1}: "
                f"lower learning_rate in [training]; {kept}"
            )
        return mean


def _summary(history: list[Epoch]) -> dict[str, Any]:
    """Result of a network, and a line an iteration with what it ended with."""
    last_of_iteration = {epoch.iteration: epoch for epoch in history}
    return {
        "accuracy": history[-1].accuracy,
        "epochs": len(history),
        "bits": history[-1].bits,
        "density": history[-1].density,
        "iterations": [
            {
                "iteration": iteration,
                "epochs": sum(epoch.iteration == iteration for epoch in history),
                "accuracy": last.accuracy,
                "density": last.density,
                "bits": last.bits,
            }
            for iteration, last in last_of_iteration.items()
        ],
    }


@contextlib.contextmanager
def _reproducible(training: TrainingConfig) -> Iterator[None]:
    """Fix what decides the last bit of a result, and put it back afterwards."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
