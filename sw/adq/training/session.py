"""Training session: trains the networks of a recipe and writes the run's folder."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

import adq.data
from adq.data.hub import DataError
from adq.data.images import Images
from adq.runs.checkpoint import Checkpoint
from adq.runs.history import Epoch
from adq.runs.run import Run
from adq.training.config import Recipe
from adq.training.network_training import NetworkTraining, measurements_of
from adq.training.observer import Observer
from adq.training.operating_points import operating_points
from adq.training.processes import reproducible, start_processes
from adq.training.recording.run_metrics import TrainedNetwork, run_metrics


def train(
    recipe: Recipe,
    run: Run | None,
    observer: Observer | None = None,
    *,
    other_data: bool = False,
) -> dict[str, Any]:
    """Train the networks of a recipe, and return the metrics written to the run.

    A run with checkpoints is resumed. On a CPU the result is bit-identical to that of an
    uninterrupted run. With several processes, only the first one is given the run and writes to it.

    A run goes on with the images that it was trained on so far, and no others, unless
    ``other_data`` is set; the images are normalized as those were.

    Raises
    ------
    adq.training.processes.TrainingError
        If the device cannot be used, or the loss is no longer finite. The last good checkpoint is
        kept.
    adq.runs.checkpoint.CheckpointError
        If a checkpoint of the run is damaged or does not fit the network.
    adq.data.DataError
        If the images cannot be read, or are not those that the run was trained on.

    """
    with reproducible(recipe.training):
        fabric = start_processes(recipe.training)
        path: Path = fabric.broadcast(Path() if run is None else run.path)
        images = adq.data.load(recipe.data, seed=recipe.training.seed, device=fabric.device)
        session = _Session(recipe, run or Run(path), observer or Observer(), fabric, other_data)
        return session.train(images)


class _Session:
    def __init__(
        self, recipe: Recipe, run: Run, observer: Observer, fabric: Fabric, other_data: bool
    ):
        self.recipe = recipe
        self.other_data = other_data
        self.run = run
        self.observer = observer
        self.fabric = fabric
        self.history: list[Epoch] = []
        """Epochs of all networks trained so far."""

    def train(self, images: Images) -> dict[str, Any]:
        names = ["mixed", "baseline"] if self.recipe.training.baseline else ["mixed"]
        trained: dict[str, NetworkTraining] = {}
        for name in names:
            trained[name] = self._train_network(name, images)
            images = trained[name].images  # normalized alike
        # In every process: a network that is built looks for its ranges together with the others.
        self.fabric.barrier()
        run = Run(self.fabric.broadcast(self.run.path))
        images = trained["mixed"].images
        metrics = run_metrics(
            self.recipe,
            {
                name: TrainedNetwork(
                    history=network.history,
                    converged=network.controller.converged,
                    seconds=network.seconds,
                )
                for name, network in trained.items()
            },
            points=operating_points(run, self.recipe, images, measurements_of(self.recipe, images)),
            data=images.data,
            device=_describe(self.fabric),
        )
        if self.fabric.is_global_zero:
            self.run.write_metrics(metrics)
        return metrics

    def _train_network(self, name: str, images: Images) -> NetworkTraining:
        self.fabric.barrier()  # the first process must have written its files
        path = self._path(name)
        found = path.exists()
        checkpoint = Checkpoint.load(path, recipe=self.recipe) if found else self._begun(name)
        if checkpoint is not None and not self.other_data:
            self._check_data(checkpoint, images)
        first = self._first_iteration(checkpoint)
        network = NetworkTraining(name, self.recipe, images, self.fabric, checkpoint, first)
        if checkpoint is not None:
            # Drop epochs after the checkpoint from the history; they are trained again.
            self._write_history(network.history)
        self.observer.begin(network)
        epochs = network.epochs(
            save=lambda checkpoint: self._save(name, checkpoint),
            step_done=lambda: self.observer.step(network),
            iteration_done=self._save_iteration,
        )
        for epoch in epochs:
            self._write_history(network.history)
            self.run = self.run.take_place() if self.fabric.is_global_zero else self.run
            self.observer.epoch(epoch)
        self.history += network.history
        return network

    def _begun(self, name: str) -> Checkpoint | None:
        """Return where the training of a network begins, None for the first epoch.

        The baseline sees the same images in the same order as the network whose bits fall: up to
        the end of the first iteration it is the same, if that has the baseline's bits.
        """
        run = Run(self.fabric.broadcast(self.run.path))
        if name != "baseline" or not run.iteration(1).exists():
            return None
        first = Checkpoint.load(run.iteration(1), recipe=self.recipe)
        if set(first.bits.values()) != {self.recipe.controller.initial_bits}:
            return None
        history = [epoch | {"network": name} for epoch in first.history]
        return dataclasses.replace(first, network=name, history=history)

    def _first_iteration(self, checkpoint: Checkpoint | None) -> Checkpoint | None:
        """Return the checkpoint of the end of the first iteration, for a run that goes on behind it
        and learns from it.
        """
        if checkpoint is None or not self.recipe.training.distillation:
            return None
        if checkpoint.controller["iteration"] == 1:
            return None
        run = Run(self.fabric.broadcast(self.run.path))
        return Checkpoint.load(run.iteration(1), recipe=self.recipe)

    def _check_data(self, checkpoint: Checkpoint, images: Images) -> None:
        trained = checkpoint.training_data
        differences = trained.differences(images.data) if trained else []
        if differences:
            raise DataError(
                f"{checkpoint.path}: was trained on other data than there is now "
                f"({', '.join(differences)}): put the data back, add --other-data to go on with "
                "what there is, or train again with --overwrite"
            )

    def _path(self, network: str) -> Path:
        path: Path = getattr(self.run, network)
        return path

    def _save(self, name: str, checkpoint: Checkpoint) -> None:
        if self.fabric.is_global_zero:
            checkpoint.save(self._path(name))

    def _save_iteration(self, checkpoint: Checkpoint) -> None:
        if self.fabric.is_global_zero:
            path = self.run.iteration(checkpoint.controller["iteration"])
            path.parent.mkdir(exist_ok=True)
            checkpoint.save(path)

    def _write_history(self, epochs: list[Epoch]) -> None:
        if self.fabric.is_global_zero:
            self.run.write_history(dataclasses.asdict(epoch) for epoch in self.history + epochs)


def _describe(fabric: Fabric) -> str:
    name = "CPU"
    if fabric.device.type == "cuda":
        name = torch.cuda.get_device_name(fabric.device)
    shared = "" if fabric.world_size == 1 else f", {fabric.world_size} processes"
    return f"{name}{shared}"
