"""From a trained network to a golden artifact, and how often its integers change a class."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adq.golden.artifact import Artifact, Samples, write_artifact
from adq.golden.network import NetworkError
from adq.quantization.integers import ExportError, integer_network
from adq.quantization.prepared import Prepared
from adq.quantization.reading.tracing import PrepareError
from adq.runs.integer_evaluation import evaluate_integers
from adq.runs.run import Run


def export(
    run: Run,
    directory: Path,
    *,
    images: int,
    bits: int | None = None,
    iteration: int | None = None,
) -> Artifact:
    """Write the trained network of a run as a golden artifact, and return it.

    ``bits`` or ``iteration`` choose the network as in ``evaluate_trained``.

    The samples are test images, drawn by the recipe's seed: fewer images are a part of more. What
    was measured over the whole test set goes into the manifest's generator:

    ``accuracy``
        Of the network as trained, with quantizers in floating point.
    ``integer_accuracy``
        Of its integers.
    ``differing_classes``
        Test images that the two classify differently.

    Raises
    ------
    ExportError
        More images are asked for than there are, or impossible bits.
    adq.runs.checkpoint.CheckpointError
        The run's checkpoint is missing or damaged.
    adq.golden.artifact.ArtifactError
        The directory holds something else than an artifact.

    """
    recipe = run.read_recipe()
    evaluation = evaluate_integers(run, bits=bits, iteration=iteration)
    network, tested = evaluation.network, len(evaluation)
    if not 1 <= images <= tested:
        raise ExportError(f"images is {images}: the test set has 1 to {tested}")
    seed = recipe.training.seed
    drawn = np.random.default_rng(seed).permutation(tested)[:images]
    artifact = Artifact(
        network=network,
        samples=Samples.record(network, evaluation.inputs[drawn], evaluation.labels[drawn]),
        generator=_generator(
            recipe=dataclasses.asdict(recipe),
            checkpoint=evaluation.checkpoint,
            uniform_bits=bits,
            iteration=iteration,
            **evaluation.to_json(),
        ),
    )
    write_artifact(directory, artifact)
    return artifact


def export_network(
    prepared: Prepared,
    directory: Path,
    *,
    name: str,
    images: torch.Tensor,
    labels: torch.Tensor | None = None,
    densities: Mapping[str, float] | None = None,
) -> Artifact:
    """Write a network of one's own as a golden artifact, and return it.

    Parameters
    ----------
    prepared
        The network, trained.
    directory
        The artifact's folder, made or replaced.
    name
        The network's name in the artifact.
    images, labels
        Samples (N, C, H, W) as the network takes them, and their classes (N,), or (N, H, W) where
        the network gives a class a pixel: every integer that they give rise to is kept. Without
        labels the network's own classes stand for them.
    densities
        Activation densities to note beside the layers.

    Raises
    ------
    ExportError
        The network has no integers, or images or labels do not suit it.
    adq.golden.artifact.ArtifactError
        The directory holds something else than an artifact.

    """
    try:
        network = integer_network(prepared, name=name, densities=densities)
        inputs = _integers(prepared, images)
    except (NetworkError, PrepareError) as error:
        raise ExportError(str(error)) from None
    samples = Samples.record(network, inputs, labels=None)
    if labels is not None:
        samples = replace(samples, labels=_labels(labels, samples))
    artifact = Artifact(network=network, samples=samples, generator=_generator())
    write_artifact(Path(directory), artifact)
    return artifact


def _labels(labels: torch.Tensor, samples: Samples) -> np.ndarray:
    """Return the classes of samples as int64, or an ``ExportError``."""
    labels = torch.as_tensor(labels).detach().cpu()
    shape, choices = samples.classes.shape, samples.logits.shape[1]
    if tuple(labels.shape) != shape:
        raise ExportError(f"labels have shape {tuple(labels.shape)}: they must have {shape}")
    if not ((labels == labels.to(torch.int64)) & (labels >= 0) & (labels < choices)).all():
        raise ExportError(f"labels must be integers from 0 to {choices - 1}")
    return labels.to(torch.int64).numpy()


def _generator(**measured: Any) -> dict[str, Any]:
    return {
        "name": "adq",
        "version": importlib.metadata.version("adq"),
        "torch": torch.__version__,
        **measured,
    }


def _integers(prepared: Prepared, images: torch.Tensor) -> np.ndarray:
    return prepared.input_integers(images).cpu().numpy()
