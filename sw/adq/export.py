"""From a trained network to a golden artifact, and how often its integers change a class."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adq.data
from adq.checkpoint import Checkpoint
from adq.evaluation import BATCH, classify
from adq.quantization.integers import ExportError, integer_network
from adq.quantization.prepared import Prepared
from adq.run import Run
from golden.artifact import Artifact, Samples, write_artifact
from golden.integer_network import logits


def export(run: Run, directory: Path, *, images: int, bits: int | None = None) -> Artifact:
    """Write the trained network of a run as a golden artifact, and return it.

    Without ``bits`` it is the mixed-precision network. With ``bits`` it is the same architecture
    at this precision in every layer: the baseline, if the run trained one, else the
    mixed-precision network; the ranges of its activations stay, and weights are quantized anew.
    At the baseline's own precision that is the baseline as trained; at any other precision the
    network was not trained for it, and serves to compare costs.

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
    adq.checkpoint.CheckpointError
        The run's checkpoint is missing or damaged.
    golden.artifact.ArtifactError
        The directory holds something else than an artifact.

    """
    recipe = run.read_recipe()
    uniform = bits is not None
    if uniform and not 2 <= bits <= 16:
        raise ExportError(f"bits is {bits}: it must be 2 to 16")
    source = run.baseline if uniform and recipe.training.baseline else run.mixed
    checkpoint = Checkpoint.load(source)
    prepared = checkpoint.build()
    if uniform:
        prepared.set_bits(dict.fromkeys(prepared.layers, bits))

    seed = recipe.training.seed
    data = adq.data.load(recipe.data, seed=seed, device="cpu")
    tested = len(data.test_labels)
    if not 1 <= images <= tested:
        raise ExportError(f"images is {images}: the test set has 1 to {tested}")
    network = integer_network(prepared, name=recipe.model.name, densities=checkpoint.densities)
    inputs = np.concatenate(
        [_integers(prepared, data.test_batch(batch)) for batch in torch.arange(tested).split(BATCH)]
    )
    labels = data.test_labels.numpy()
    trained_classes = classify(prepared.model, data).numpy()
    integer_classes = logits(network, inputs).argmax(1)

    drawn = np.random.default_rng(seed).permutation(tested)[:images]
    artifact = Artifact(
        network=network,
        samples=Samples.record(network, inputs[drawn], labels[drawn]),
        generator=_generator(
            recipe=dataclasses.asdict(recipe),
            checkpoint=source.name,
            uniform_bits=bits,
            test_images=tested,
            accuracy=float((trained_classes == labels).mean()),
            integer_accuracy=float((integer_classes == labels).mean()),
            differing_classes=int((trained_classes != integer_classes).sum()),
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
    labels: torch.Tensor,
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
        Samples (N, C, H, W) as the network takes them, and their classes (N,): every integer
        that they give rise to is kept.
    densities
        Activation densities to note beside the layers.

    Raises
    ------
    golden.network.NetworkError
        A width could overflow.
    golden.artifact.ArtifactError
        The directory holds something else than an artifact.

    """
    network = integer_network(prepared, name=name, densities=densities)
    inputs = _integers(prepared, images)
    artifact = Artifact(
        network=network,
        samples=Samples.record(network, inputs, labels.to(torch.int64).cpu().numpy()),
        generator=_generator(),
    )
    write_artifact(Path(directory), artifact)
    return artifact


def _generator(**measured: Any) -> dict[str, Any]:
    return {
        "name": "adq",
        "version": importlib.metadata.version("adq"),
        "torch": torch.__version__,
        **measured,
    }


def _integers(prepared: Prepared, images: torch.Tensor) -> np.ndarray:
    return prepared.input_integers(images).cpu().numpy()
