"""Runs of a training loop of one's own, written as ``adq train`` writes its own."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from adq.data.images import Images
from adq.quantization.prepared_network import Prepared
from adq.runs.checkpoint import Checkpoint
from adq.runs.evaluation import classify
from adq.runs.history import Epoch
from adq.runs.run import Run, RunError
from adq.training.config import Recipe
from adq.training.controller import Controller, sum_over_processes
from adq.training.network_training import measurements_of
from adq.training.operating_points import operating_points
from adq.training.recording.run_metrics import TrainedNetwork, run_metrics

__all__ = ["Recorder"]


class Recorder:
    """Writes the run of a training loop of one's own, for all commands that take a run.

    A run is read without the loop: the recipe tells how its network and its images are found again.
    With several processes, all of them call every method, and the first one writes.

    Parameters
    ----------
    folder
        Folder of the run.
    prepared
        Network, as ``adq.prepare`` gave it for the recipe's network.
    controller
        Controller of the network.
    recipe
        Names the network (an architecture or ``module:function``), the images and the quantizers.
        Its ``[controller]`` is replaced by the controller's, and the number of its epochs by those
        that are recorded.
    images
        Images of ``adq.data.load(recipe.data, ...)``, on the network's device: the loop must feed
        the network with images that are normalized like these.
    overwrite
        Replace an older run, once the new one has an epoch.

    Raises
    ------
    adq.runs.run.RunError
        If the folder holds a run already.
    adq.runs.checkpoint.CheckpointError
        If the recipe's network is another one.

    """

    def __init__(
        self,
        folder: Path | str,
        prepared: Prepared,
        controller: Controller,
        *,
        recipe: Recipe,
        images: Images,
        overwrite: bool = False,
    ):
        self._prepared = prepared
        self._controller = controller
        self._images = images
        training = dataclasses.replace(recipe.training, baseline=False)
        self._recipe = dataclasses.replace(recipe, training=training, controller=controller.config)
        self._history: list[Epoch] = []
        self._start = time.monotonic()
        self._path = Path(folder)
        self._checkpoint().build()  # an error that would else show when the run is read
        self._run: Run | None = None
        if self._writes:
            self._run = Run.create(self._path, self._recipe, overwrite=overwrite)

    @torch.no_grad()
    def epoch(
        self, *, loss: float, accuracy: float | None = None, train_accuracy: float | None = None
    ) -> Epoch:
        """Record an epoch, before ``Controller.step`` decides about it.

        Parameters
        ----------
        loss
            Mean loss over the training images.
        accuracy
            Share of the test images that are classified correctly. Default: it is measured.
        train_accuracy
            The same of the training images, if it is known.

        Raises
        ------
        adq.runs.run.RunError
            If no training batch has been counted since the last step of the controller.

        """
        prepared = self._prepared
        counts = prepared.density_counts(sum_over_processes())
        densities = {name: nonzero / count for name, (nonzero, count) in counts.items() if count}
        if not densities:
            raise RunError(
                f"{self._path}: no activation was counted in this epoch: call Recorder.epoch after "
                "training batches, and before Controller.step"
            )
        if accuracy is None:
            correct = classify(prepared.model, self._images) == self._images.test_labels
            accuracy = correct.double().mean().item()
        self._history.append(
            Epoch(
                network="mixed",
                epoch=len(self._history) + 1,
                iteration=self._controller.iteration,
                loss=float(loss),
                accuracy=float(accuracy),
                train_accuracy=None if train_accuracy is None else float(train_accuracy),
                density=densities,
                bits=dict(prepared.bits),
                channels=dict(prepared.channels),
                macs=dict(prepared.macs),
            )
        )
        if self._run is not None:
            self._keep_iteration(self._run)
            self._checkpoint().save(self._run.mixed)
            self._run.write_history(dataclasses.asdict(each) for each in self._history)
            self._run = self._run.take_place()
        return self._history[-1]

    def finish(self) -> dict[str, Any]:
        """Write the metrics of the run, and return them. The network is that of the last epoch.

        Raises
        ------
        adq.runs.run.RunError
            If no epoch was recorded.

        """
        if not self._history:
            raise RunError(f"{self._path}: no epoch was recorded: call Recorder.epoch first")
        training = dataclasses.replace(self._recipe.training, epochs=len(self._history))
        self._recipe = dataclasses.replace(self._recipe, training=training)
        if self._run is None:
            return {}
        run = self._run
        for path in (*run.iterations().values(), run.mixed):
            checkpoint = dataclasses.replace(Checkpoint.load(path), path=None)
            dataclasses.replace(checkpoint, recipe=dataclasses.asdict(self._recipe)).save(path)
        run.write_recipe(self._recipe)
        measurements = measurements_of(self._recipe, self._images)
        trained = TrainedNetwork(
            history=self._history,
            converged=self._controller.converged,
            seconds=time.monotonic() - self._start,
        )
        device = self._images.device
        metrics = run_metrics(
            self._recipe,
            {"mixed": trained},
            points=operating_points(run, self._recipe, self._images, measurements),
            data=self._images.data,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        )
        run.write_metrics(metrics)
        return metrics

    @property
    def _writes(self) -> bool:
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        return not shared or torch.distributed.get_rank() == 0

    def _keep_iteration(self, run: Run) -> None:
        """Keep the network of the iteration before, if this epoch begins another one."""
        before = self._history[-2].iteration if len(self._history) > 1 else 1
        if self._history[-1].iteration > before:
            kept = run.iteration(before)
            kept.parent.mkdir(exist_ok=True)
            run.mixed.replace(kept)

    def _checkpoint(self) -> Checkpoint:
        prepared, last = self._prepared, self._history[-1] if self._history else None
        return Checkpoint(
            network="mixed",
            recipe=dataclasses.asdict(self._recipe),
            input_shape=self._images.shape,
            classes=self._images.classes,
            channels=dict(prepared.channels),
            bits=dict(prepared.bits),
            state=prepared.model.state_dict(),
            densities=dict(last.density) if last else {},
            epoch=len(self._history),
            history=[dataclasses.asdict(each) for each in self._history],
            controller=self._controller.state_dict(),
            seconds=time.monotonic() - self._start,
            progress=None,
            data=self._images.data.to_json(),
            path=self._path,
        )
