"""scikit-learn's handwritten digits: 1797 grey images of 8x8, 10 classes.

``digits32`` has them in the shape of CIFAR-10's images, 3x32x32: each pixel a square of 4x4, alike
in all three channels. Networks for CIFAR-10 can be tried, and their artifacts handed on, without
files of anyone's.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from adq.data.catalog import BUILT_IN
from adq.data.splits import Split, Splits


def read_splits(name: str, test_fraction: float, seed: int) -> Splits:
    """Split the digits, every class in the same proportion."""
    pixels, labels = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels.astype(np.uint8).reshape(-1, 1, 8, 8),  # (N, C, H, W), 0 to 16
        labels,
        test_size=test_fraction,
        stratify=labels,
        random_state=seed,
    )
    shape = BUILT_IN[name]
    return Splits(
        train=Split(pixels=_enlarged(train_pixels, shape), labels=train_labels),
        test=Split(pixels=_enlarged(test_pixels, shape), labels=test_labels),
    )


def _enlarged(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Repeat channels and pixels, as often in height as in width: (N, *shape)."""
    channels, height, _ = shape
    scale = height // pixels.shape[2]
    return pixels.repeat(channels, 1).repeat(scale, 2).repeat(scale, 3)
