"""Labelled images as stored: NumPy arrays of bytes, before selection and augmentation."""

from dataclasses import dataclass

import numpy as np

from adq.data.hub import DataError


@dataclass(frozen=True, kw_only=True)
class Split:
    """The training or the test images of a data set.

    Notation used for shapes: N images, C channels, H rows, W columns.
    """

    pixels: np.ndarray
    """uint8 (N, C, H, W)"""
    labels: np.ndarray
    """int64 (N,)"""

    def part(self, count: int, *, seed: int, what: str) -> "Split":
        """Return ``count`` images with balanced classes, as far as possible; 0 returns all images.

        The seed decides which. A smaller part of the same seed is a part of a larger one, and
        the images keep their order.
        """
        if count == 0:
            return self
        if count > len(self.labels):
            raise DataError(
                f"{what} asks for {count} images, and there are {len(self.labels)}: ask for "
                "fewer, or for 0, which is all"
            )
        # Deal out the classes in rounds: an image's round is how many of its class came before.
        order = np.random.default_rng(seed).permutation(len(self.labels))
        by_class = np.argsort(self.labels[order], kind="stable")
        sizes = np.bincount(self.labels)
        first_of_class = np.cumsum(sizes) - sizes
        rounds = np.empty_like(order)
        rounds[by_class] = np.arange(len(order)) - np.repeat(first_of_class, sizes)
        chosen = np.sort(order[np.argsort(rounds, kind="stable")[:count]])
        return Split(pixels=self.pixels[chosen], labels=self.labels[chosen])


@dataclass(frozen=True, kw_only=True)
class Splits:
    """All images of a data set."""

    train: Split
    test: Split
    class_names: tuple[str, ...] = ()
    """Names of the classes, from 0; empty where the files do not tell."""
