"""From a run's folder to a golden artifact, and how often its integers change a class."""

import dataclasses
import importlib.metadata
from pathlib import Path

import numpy as np
import torch

import adq.data
from adq.checkpoint import Checkpoint
from adq.integers import ExportError, integer_network
from adq.layers import quantized_layers
from adq.run import Run
from adq.training import classify
from golden.artifact import Artifact, Samples, write_artifact
from golden.integer_network import run as run_integers


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
    model = checkpoint.build()
    if uniform:
        for layer in quantized_layers(model).values():
            layer.bits = bits

    seed = recipe.training.seed
    data = adq.data.load(recipe.data, seed=seed, device="cpu")
    tested = len(data.test_images)
    if not 1 <= images <= tested:
        raise ExportError(f"images is {images}: the test set has 1 to {tested}")
    network = integer_network(
        model, name=recipe.model.name, input_shape=data.shape, densities=checkpoint.densities
    )
    # The first layer's quantizer is the network's input.
    first_layer = next(iter(quantized_layers(model).values()))
    with torch.no_grad():
        inputs = first_layer.input_quantizer.integers(data.test_images).to(torch.int64).numpy()
    labels = data.test_labels.numpy()
    trained_classes = classify(model, data.test_images).numpy()
    integer_classes = run_integers(network, inputs).classes

    drawn = np.random.default_rng(seed).permutation(tested)[:images]
    artifact = Artifact(
        network=network,
        samples=Samples.record(network, inputs[drawn], labels[drawn]),
        generator={
            "name": "adq",
            "version": importlib.metadata.version("adq"),
            "torch": torch.__version__,
            "recipe": dataclasses.asdict(recipe),
            "checkpoint": source.name,
            "uniform_bits": bits,
            "test_images": tested,
            "accuracy": float((trained_classes == labels).mean()),
            "integer_accuracy": float((integer_classes == labels).mean()),
            "differing_classes": int((trained_classes != integer_classes).sum()),
        },
    )
    write_artifact(directory, artifact)
    return artifact
