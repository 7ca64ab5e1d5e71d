"""From a network that was read to an artifact: its samples, and how close it is to its file."""

import dataclasses
import importlib.metadata
import math
from pathlib import Path

import numpy as np

from adq.golden.exchange.comparison import Comparison
from adq.golden.exchange.opening import ExchangeError
from adq.golden.exchange.reading import Imported
from adq.golden.files.arrays import read_arrays
from adq.golden.samples import Artifact, Samples

MAXIMUM_ELEMENTS = 2**28
"""Most elements of all random images."""


def random_images(imported: Imported, count: int, seed: int) -> np.ndarray:
    """Return uniformly random images as the file takes them, (N, ...).

    They lie on the integers of the network's input, or between 0 and 1 where the file computes
    with the images before it quantizes them.

    Raises
    ------
    ExchangeError
        They are larger than any that are useful.

    """
    rng = np.random.default_rng(seed)
    shape = (count, *imported.image_shape)
    if math.prod(shape) > MAXIMUM_ELEMENTS:
        raise ExchangeError(
            f"{count} random images of {imported.image_shape} have more than "
            f"{MAXIMUM_ELEMENTS:,} elements: ask for fewer samples"
        )
    if imported.prelude:
        return rng.random(shape, dtype=np.float32)
    source, dtype = imported.network.input_format, imported.graph.input_dtype
    whole = rng.integers(source.lo, source.hi + 1, shape) - imported.zero
    if np.issubdtype(dtype, np.integer):
        return (whole + imported.quantizer.zero).astype(dtype)
    return whole.astype(np.float32) * np.float32(source.scale)


def labels_of(imported: Imported, labels: np.ndarray, count: int) -> np.ndarray:
    """Return the classes of images as int64 (N, ...).

    Raises
    ------
    ExchangeError
        They are not one class an image, or a pixel, of those that the network tells apart.

    """
    choices, *places = imported.network.shapes[imported.network.outputs[0]]
    if labels.shape != (count, *places) or not np.issubdtype(labels.dtype, np.integer):
        raise ExchangeError(
            f"labels are {labels.dtype} of shape {labels.shape}: they must be integers of shape "
            f"{(count, *places)}"
        )
    if labels.min() < 0 or labels.max() >= choices:
        raise ExchangeError(
            f"labels span {labels.min()} to {labels.max()}: the network tells 0 to {choices - 1} "
            "apart"
        )
    return labels.astype(np.int64)


def artifact_of(
    imported: Imported,
    images: np.ndarray,
    labels: np.ndarray | None,
    *,
    comparison: Comparison | None,
    images_from: str,
) -> Artifact:
    """Return an artifact with all integers for images (N, ...) as the file takes them.

    What is known of the file goes into the manifest's generator under ``imported``.
    """
    samples = Samples.record(imported.network, imported.integers(images), labels)
    told = {
        "sha256": imported.graph.sha256,
        "producer": imported.graph.producer,
        "images": images_from,
        "zero_points": imported.zeros,
        "roundings": [dataclasses.asdict(each) for each in imported.roundings],
        "left_out": list(imported.notes),
        "comparison": None if comparison is None else comparison.to_json(),
    }
    generator = {
        "name": "adq",
        "version": importlib.metadata.version("adq"),
        "imported": told,
    }
    return Artifact(network=imported.network, samples=samples, generator=generator)


def images_and_labels(
    imported: Imported, path: str | Path | None, *, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return images as the file takes them, their labels if there are some, and what they are.

    They come from a ``.npy`` or ``.npz`` file; without one they are random.

    Raises
    ------
    ExchangeError
        The file holds no images for this network.
    adq.golden.files.reading.FileError
        It is no such file.

    """
    if path is None:
        return random_images(imported, count, seed), None, f"random, seed {seed}"
    arrays = read_arrays(path)
    images = arrays.get("", arrays.get("images"))
    if images is None:
        names = ", ".join(sorted(arrays)[:8]) or "nothing"
        raise ExchangeError(f"{path}: holds {names}: name the array of images `images`")
    dtype = imported.graph.input_dtype
    if np.issubdtype(dtype, np.floating):
        with np.errstate(over="ignore"):  # what is too large is infinite, and refused
            images = images.astype(dtype)
    imported.integers(images)  # says what is wrong before anything runs
    labels = arrays.get("labels")
    if labels is not None:
        labels = labels_of(imported, labels, len(images))
    return images, labels, f"{len(images)} of a file"
