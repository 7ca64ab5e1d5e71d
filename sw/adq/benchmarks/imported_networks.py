"""Networks that other tools have quantized beside what is imported from their files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from adq.golden.exchange.comparison import compare
from adq.golden.exchange.reading import read_model

__all__ = ["compare_files", "digits"]

IMAGES = 1000


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the last 1,000 of scikit-learn's digits, (N, 1, 8, 8) from 0 to 1, and their classes.

    Some of them are among the images that the files were trained on.
    """
    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)
    return images[-IMAGES:], data.target[-IMAGES:].astype(np.int64)


def compare_files(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Import files, and yield how the integers differ from the file's own, over all nodes.

    Raises
    ------
    adq.golden.exchange.reading.ExchangeError
        If a file cannot be imported or run.

    """
    images, labels = digits()
    for path in files:
        found = compare(read_model(path), images)
        yield {
            "file": path.name,
            "runner": found.runner,
            "images": found.images,
            "sums": sum(node.accumulators for node in found.nodes),
            "differing_sums": sum(node.differing_accumulators for node in found.nodes),
            "activations": sum(node.activations for node in found.nodes),
            "differing_activations": sum(node.differing_activations for node in found.nodes),
            "largest_difference": max(node.largest_difference for node in found.nodes),
            "differing_classes": found.differing_classes,
            "right": float((found.classes == labels).mean()),
        }
