"""Training of one network, with its optimizer, controller and checkpoints.

An epoch begins with the controller's decision about the previous epoch, and ends with an evaluation
and a checkpoint. A checkpoint after an epoch therefore holds the network that was evaluated. If a
crash interrupts a change of bits and channels, the change is repeated after resumption.

Several processes share each batch evenly. Every process draws the order and augmentation of the
whole batch from the same generator and takes its part, so the images do not depend on the number of
processes. Batch norm uses only the part of its own process.
"""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.nn import functional

from adq.data.images import Images
from adq.models import build
from adq.models.weights import load_weights
from adq.quantization.prepared import prepare
from adq.runs.checkpoint import Checkpoint, CheckpointError
from adq.runs.evaluation import classify
from adq.runs.history import Epoch
from adq.training.config import ControllerConfig, Recipe
from adq.training.controller import Controller, Decision
from adq.training.distillation import Teacher
from adq.training.processes import TrainingError
from adq.training.recording.measurements import SAMPLES, Measurements


class NetworkTraining:
    """Trains one network, epoch by epoch.

    Parameters
    ----------
    name
        ``mixed``, or ``baseline``, which keeps its initial bits and channels.
    recipe
        Recipe. The baseline starts from the same weights and sees the same images in the same
        order.
    images
        Images on the device of this process.
    fabric
        Devices and processes.
    checkpoint
        Checkpoint to resume from, if any.
    first_iteration
        Checkpoint of the end of the first iteration, if that is over and the recipe distils.

    Raises
    ------
    TrainingError
        If there are too few images for a step.
    CheckpointError
        If the checkpoint does not fit the network.

    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        images: Images,
        fabric: Fabric,
        checkpoint: Checkpoint | None = None,
        first_iteration: Checkpoint | None = None,
    ):
        self.name = name
        self.recipe = recipe
        levels = recipe.input_levels
        if checkpoint is not None:
            images = checkpoint.normalized(images)
        elif levels is not None:
            images = images.as_levels(levels)
        self.images = images
        self.fabric = fabric
        if not self.steps:
            raise TrainingError(
                f"train_images in [data] gives {len(images.train_labels)} images: each of "
                f"{fabric.world_size} processes needs 2 at least"
            )
        torch.manual_seed(recipe.training.seed)
        self.generator = torch.Generator().manual_seed(recipe.training.seed)
        if checkpoint is None:
            model = build(recipe.model.name, images.shape, images.classes)
            if recipe.model.weights:
                load_weights(model, Path(recipe.model.weights).expanduser())
            self.prepared = prepare(
                model,
                images.test_batch(slice(1)).cpu(),
                config=recipe.quantization,
                bits=recipe.controller.initial_bits,
                levels=levels,
            )
            self._check_output()
        else:
            self.prepared = checkpoint.build()
        self.prepared.model.to(images.device)
        training = recipe.training
        parameters = list(self.prepared.model.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [each for each in parameters if each.dim() > 1]},
            # No weight decay for batch norm, biases and quantizer ranges.
            {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
        )
        self.controller = Controller(
            self.prepared,
            recipe.controller if name == "mixed" else _unchanging(recipe.controller),
            measurements=measurements_of(recipe, self.images),
            seed=training.seed,
        )
        self.history: list[Epoch] = []
        self.densities: dict[str, float] = {}
        self.order = torch.empty(0, dtype=torch.int64)
        self.step = 0
        """Number of steps done in the current epoch."""
        self.loss = torch.zeros((), dtype=torch.float64, device=images.device)
        """Loss summed over the images of this process in the current epoch."""
        self.correct = torch.zeros((), dtype=torch.int64, device=images.device)
        """Images of this process that were classified correctly in the current epoch."""
        self.seconds = 0.0
        self.teacher = None if first_iteration is None else Teacher(first_iteration, fabric)
        if checkpoint is not None:
            self._restore(checkpoint)
        elif name == "mixed":
            self._check_budget()
        self._set_up()

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return len(self.history)

    @property
    def steps(self) -> int:
        """Steps per epoch. A last batch too small for batch norm in every process is left out."""
        batches, rest = divmod(len(self.images.train_labels), self.recipe.training.batch_size)
        return batches + (rest >= 2 * self.fabric.world_size)

    def epochs(
        self,
        *,
        save: Callable[[Checkpoint], None],
        step_done: Callable[[], None],
        iteration_done: Callable[[Checkpoint], None],
    ) -> Iterator[Epoch]:
        """Train and yield each epoch.

        ``save`` is called with each checkpoint, ``step_done`` after each optimizer step, and
        ``iteration_done`` with the last checkpoint of each iteration but the last one.
        """
        while self.epoch < self.recipe.training.epochs:
            start = time.monotonic()
            if self.step == 0:
                self._begin_epoch(iteration_done)
            self._train_epoch(save, step_done)
            self._end_epoch()
            self.seconds += time.monotonic() - start
            save(self.checkpoint())
            yield self.history[-1]

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the current state. All processes must call this method."""
        finished = self.epoch == self.recipe.training.epochs
        return Checkpoint(
            network=self.name,
            recipe=dataclasses.asdict(self.recipe),
            input_shape=self.images.shape,
            classes=self.images.classes,
            channels=dict(self.prepared.channels),
            bits=dict(self.prepared.bits),
            state=self.prepared.model.state_dict(),
            densities=self.densities,
            epoch=self.epoch,
            history=[dataclasses.asdict(epoch) for epoch in self.history],
            controller=self.controller.state_dict(),
            seconds=self.seconds,
            progress=None if finished else self._progress(),
            data=self.images.data.to_json(),
        )

    def _check_output(self) -> None:
        """Refuse a network of the user's own that gives no logit a class."""
        shapes, classes = self.prepared.model.outputs.shapes, self.images.classes
        if shapes != ((classes,),):
            shown = ", ".join(str(("N", *shape)) for shape in shapes).replace("'", "")
            raise TrainingError(
                f"{self.recipe.model.name}: returns {shown}: it must return a logit a class, "
                f"(N, {classes})"
            )

    def _check_budget(self) -> None:
        """Refuse a budget that leaves no epochs, or that the least bits cannot meet."""
        controller = self.recipe.controller
        if controller.cost_budget is None:
            return
        if self.recipe.training.epochs <= controller.settling_epochs:
            raise TrainingError(
                f"budget is {controller.budget!r}, and all of {self.recipe.training.epochs} epochs "
                f"are settling_epochs ({controller.settling_epochs}): train for more epochs, or "
                "let fewer settle"
            )
        self.controller.check_budget()

    def _set_up(self) -> None:
        """Set the memory layout and wrap the model for Fabric; repeated when shapes change."""
        layout = torch.channels_last
        self.prepared.model.to(memory_format=layout)  # type: ignore[call-overload]  # stubs lack it
        self.parallel = self.fabric.setup_module(self.prepared.model)

    def _begin_epoch(self, iteration_done: Callable[[Checkpoint], None]) -> None:
        if self.epoch:
            before = None if self.controller.is_last else copy.deepcopy(self.checkpoint())
            decision = self.controller.step(
                self.densities,
                remaining_epochs=self.recipe.training.epochs - self.epoch,
                optimizer=self.optimizer,
                accuracy=self.history[-1].train_accuracy,
            )
            if before is not None and decision in (Decision.LOWER, Decision.RETURN):
                iteration_done(before)
                if self.recipe.training.distillation and self.teacher is None:
                    self.teacher = Teacher(before, self.fabric)
                self._set_up()
        self.order = torch.randperm(len(self.images.train_labels), generator=self.generator)
        self.loss.zero_()
        self.correct.zero_()

    def _train_epoch(
        self, save: Callable[[Checkpoint], None], step_done: Callable[[], None]
    ) -> None:
        training = self.recipe.training
        self.prepared.model.train()
        while self.step < self.steps:
            self._train_step()
            self.step += 1
            step_done()
            if self.step % training.checkpoint_steps == 0 and self.step < self.steps:
                self._check_finite()
                save(self.checkpoint())

    def _train_step(self) -> None:
        size = self.recipe.training.batch_size
        batch = self.order[self.step * size :][:size]
        draws = self.images.draw(len(batch), self.generator)
        own = slice(self.fabric.global_rank, None, self.fabric.world_size)
        images = self.images.train_batch(batch[own], draws[own])
        labels = self.images.train_labels[batch[own].to(images.device)]
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        images = images.contiguous(memory_format=torch.channels_last)
        logits = self.parallel(images)
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        if self.teacher is not None:
            share = self.recipe.training.distillation
            loss = (1 - share) * loss + share * self.teacher.loss(images, logits)
        self.optimizer.zero_grad()
        # Gradients are averaged over processes, whose parts of a batch may differ by one image.
        self.fabric.backward(loss * (self.fabric.world_size / len(batch)))
        self.optimizer.step()
        self.loss += loss.detach()
        self.correct += (logits.detach().argmax(1) == labels).sum()

    def _learning_rate(self) -> float:
        """Return the learning rate: linear warm-up, then cosine decay to 0."""
        training = self.recipe.training
        done = self.epoch + self.step / self.steps
        if done < training.warmup_epochs:
            return training.learning_rate * (done + 1 / self.steps) / training.warmup_epochs
        span = training.epochs - training.warmup_epochs
        phase = (done - training.warmup_epochs) / span
        return training.learning_rate * (1 + math.cos(math.pi * phase)) / 2

    def _end_epoch(self) -> None:
        self._check_finite()
        self.densities = self.prepared.densities(self._summed)
        own = slice(self.fabric.global_rank, None, self.fabric.world_size)
        correct = classify(self.prepared.model, self.images, own) == self.images.test_labels[own]
        images = min(len(self.order), self.steps * self.recipe.training.batch_size)
        epoch = Epoch(
            network=self.name,
            epoch=self.epoch + 1,
            iteration=self.controller.iteration,
            loss=self._summed(self.loss).item() / images,
            accuracy=self._summed(correct.sum()).item() / len(self.images.test_labels),
            train_accuracy=self._summed(self.correct).item() / images,
            density=self.densities,
            bits=dict(self.prepared.bits),
            channels=dict(self.prepared.channels),
            macs=self.prepared.macs,
        )
        self.history.append(epoch)
        self.step = 0

    def _summed(self, value: torch.Tensor) -> torch.Tensor:
        """Return a new tensor, summed over all processes."""
        summed = self.fabric.all_reduce(value.clone(), reduce_op="sum")
        if not isinstance(summed, torch.Tensor):
            raise AssertionError("the sum of tensors is a tensor")
        return summed

    def _check_finite(self) -> None:
        """Raise an error before a diverged network replaces the last good checkpoint."""
        loss = self._summed(self.loss).item()
        weights = torch.nn.utils.get_total_norm(self.prepared.model.parameters()).item()
        if math.isfinite(loss) and math.isfinite(weights):
            return
        what, value = ("weights' norm", weights) if math.isfinite(loss) else ("loss", loss)
        kept = f"the checkpoint of epoch {self.epoch} stays" if self.epoch else "none is kept"
        raise TrainingError(
            f"the {what} of the {self.name} network is {value} in epoch {self.epoch + 1}: "
            f"lower learning_rate in [training]; {kept}"
        )

    def _progress(self) -> dict[str, Any]:
        random = {"images": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if self.images.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.images.device)
        return {
            "optimizer": self.optimizer.state_dict(),
            "density": self.prepared.density_counts(self._summed),
            "random": random,
            "order": self.order,
            "step": self.step,
            "loss": self._summed(self.loss).item(),
            "correct": self._summed(self.correct).item(),
        }

    def _restore(self, checkpoint: Checkpoint) -> None:
        progress = checkpoint.progress
        try:
            self.history = [Epoch(**epoch) for epoch in checkpoint.history]
            self.densities = dict(checkpoint.densities)
            self.seconds = checkpoint.seconds
            self.controller.load_state_dict(checkpoint.controller)
            if progress is None:
                return
            self.optimizer.load_state_dict(progress["optimizer"])
            random = progress["random"]
            self.generator.set_state(random["images"])
            torch.set_rng_state(random["cpu"])
            if "cuda" in random and self.images.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"], self.images.device)
            self.order, self.step = progress["order"], progress["step"]
            images = len(self.images.train_labels)
            if self.step and len(self.order) != images:  # other images: the epoch's rest of them
                self.order = torch.randperm(images, generator=self.generator)
            # The counts are sums over all processes, so only the first process restores them.
            first = int(self.fabric.is_global_zero)
            counts = progress["density"].items()
            self.prepared.restore_density_counts(
                {name: (nonzero * first, elements * first) for name, (nonzero, elements) in counts}
            )
            self.loss.fill_(progress["loss"] * first)
            self.correct.fill_(progress.get("correct", 0) * first)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"{checkpoint.path}: does not fit the training of the {self.name} network "
                f"({error}): train again with --overwrite"
            ) from None


def _unchanging(config: ControllerConfig) -> ControllerConfig:
    """Return rules by which a baseline keeps its initial bits in every layer."""
    return dataclasses.replace(
        config,
        policy="activation-density",
        budget="",
        max_iterations=1,
        first_bits=config.initial_bits,
        last_bits=config.initial_bits,
    )


def measurements_of(recipe: Recipe, images: Images) -> Measurements | None:
    """Return measurements on training images drawn by the recipe's seed; None without a tile."""
    if not recipe.controller.tile:
        return None
    count = len(images.train_labels)
    generator = torch.Generator().manual_seed(recipe.training.seed)
    drawn = torch.randperm(count, generator=generator)[:SAMPLES]
    centre = torch.tensor([[images.crop, images.crop, 0]]).expand(len(drawn), 3)
    return Measurements(
        images.train_batch(drawn, centre),
        images.train_labels[drawn.to(images.device)],
        tile=recipe.controller.tile,
    )
