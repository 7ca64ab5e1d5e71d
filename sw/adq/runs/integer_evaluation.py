"""Evaluation of a trained network on its whole test set, beside its integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import adq.data
from adq.data.images import Images
from adq.data.provenance import TrainingData
from adq.golden.files.json_reader import JsonObject
from adq.golden.integer_network import logits
from adq.golden.network import Network
from adq.quantization.integers import ExportError, integer_network
from adq.quantization.prepared import Prepared
from adq.runs.checkpoint import Checkpoint
from adq.runs.evaluation import BATCH, classify
from adq.runs.run import Run

__all__ = ["Evaluation", "IntegerEvaluation", "evaluate_integers", "evaluate_trained"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A run's network as trained, with quantizers in floating point, and its test images."""

    name: str
    """Architecture of the network."""
    checkpoint: str
    """File of the run that the network comes from."""
    data: TrainingData
    """The test images, normalized as in training."""
    other_data: tuple[str, ...]
    """In which images the data set differs from that of the training, a text for each."""
    labels: np.ndarray
    """int64 (N,): true classes."""
    trained_classes: np.ndarray
    """int64 (N,): classes by the network as trained."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Return the accuracy of the network as trained."""
        return float((self.trained_classes == self.labels).mean())

    def to_json(self) -> JsonObject:
        """Return the figures as JSON values."""
        figures = {"test_images": len(self), "accuracy": self.accuracy}
        return figures | {"data": self.data.to_json(), "other_data": list(self.other_data)}


@dataclass(frozen=True, kw_only=True)
class IntegerEvaluation(Evaluation):
    """Evaluation of a network, and of its integers on the same images."""

    network: Network
    inputs: np.ndarray
    """(N, C, H, W): the test images as the network's integers."""
    integer_classes: np.ndarray
    """int64 (N,): classes by its integers."""

    @property
    def integer_accuracy(self) -> float:
        """Return the accuracy of the integers."""
        return float((self.integer_classes == self.labels).mean())

    @property
    def differing_classes(self) -> int:
        """Test images that integers and trained network classify differently."""
        return int((self.trained_classes != self.integer_classes).sum())

    def to_json(self) -> JsonObject:
        """Return the figures as JSON values."""
        return super().to_json() | {
            "integer_accuracy": self.integer_accuracy,
            "differing_classes": self.differing_classes,
        }


def other_data_note(differences: Sequence[str]) -> str:
    """Say that a network was evaluated on other images than it was trained with."""
    return (
        f"The data set is not that of the training: {', '.join(differences)}. Images are "
        "normalized as in training."
    )


def evaluate_trained(
    run: Run, *, bits: int | None = None, iteration: int | None = None
) -> Evaluation:
    """Classify every test image by a run's network as trained.

    Without ``bits`` it is the mixed-precision network. With ``bits`` it is the same architecture
    at this precision in every layer: the baseline, if the run trained one, else the
    mixed-precision network; the ranges of its activations stay, and weights are quantized anew.
    At the baseline's own precision that is the baseline as trained; at any other precision the
    network was not trained for it, and serves to compare costs. With ``iteration`` it is the
    network at the end of that iteration.

    Raises
    ------
    ExportError
        Impossible bits, bits of an iteration, or an iteration that the run does not have.
    adq.runs.checkpoint.CheckpointError
        The run's checkpoint is missing or damaged.
    adq.data.DataError
        The images or their classes are of another kind than those of the training.

    """
    return _trained(run, bits, iteration)[0]


def evaluate_integers(
    run: Run, *, bits: int | None = None, iteration: int | None = None
) -> IntegerEvaluation:
    """Classify every test image by a run's network as trained, and by its integers.

    ``bits``, ``iteration`` and errors are those of ``evaluate_trained``.

    Raises
    ------
    adq.golden.network.NetworkError
        A width could overflow.

    """
    evaluation, checkpoint, prepared, data = _trained(run, bits, iteration)
    network = integer_network(prepared, name=evaluation.name, densities=checkpoint.densities)
    batches = torch.split(torch.arange(len(evaluation)), BATCH)
    inputs = np.concatenate(
        [prepared.input_integers(data.test_batch(batch)).cpu().numpy() for batch in batches]
    )
    return IntegerEvaluation(
        **vars(evaluation),
        network=network,
        inputs=inputs,
        integer_classes=logits(network, inputs).argmax(1),
    )


def _trained(
    run: Run, bits: int | None, iteration: int | None
) -> tuple[Evaluation, Checkpoint, Prepared, Images]:
    recipe = run.read_recipe()
    if bits is not None and not 2 <= bits <= 16:
        raise ExportError(f"bits is {bits}: it must be 2 to 16")
    if bits is not None and iteration is not None:
        raise ExportError("bits and iteration exclude each other: give one of them")
    if iteration is not None:
        source = _of_iteration(run, iteration)
    else:
        source = run.mixed if bits is None or not recipe.training.baseline else run.baseline
    checkpoint = Checkpoint.load(source, recipe=recipe)
    prepared = checkpoint.build()
    if bits is not None:
        prepared.set_bits(dict.fromkeys(prepared.layers, bits), keep_ranges=True)
    data = checkpoint.normalized(
        adq.data.load(recipe.data, seed=recipe.training.seed, device="cpu")
    )
    trained = checkpoint.training_data
    evaluation = Evaluation(
        name=recipe.model.title,
        checkpoint=source.name,
        data=data.data,
        other_data=tuple(trained.differences(data.data)) if trained else (),
        labels=data.test_labels.numpy(),
        trained_classes=classify(prepared.model, data).numpy(),
    )
    return evaluation, checkpoint, prepared, data


def _of_iteration(run: Run, iteration: int) -> Path:
    """Find the checkpoint of an iteration; the last one is the run's own."""
    earlier = run.iterations()
    last = max(earlier, default=0) + 1
    if iteration != last and iteration not in earlier:
        raise ExportError(
            f"iteration is {iteration}: {run.path} has the networks of {last} iterations"
        )
    return earlier.get(iteration, run.mixed)
