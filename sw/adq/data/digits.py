"""scikit-learn's handwritten digits: 1797 grey images of 8x8, 10 classes."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from adq.data.splits import Split, Splits

CLASSES = 10


def read_splits(test_fraction: float, seed: int) -> Splits:
    """Split the digits, every class in the same proportion."""
    pixels, labels = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels.astype(np.uint8).reshape(-1, 1, 8, 8),  # (N, C, H, W), 0 to 16
        labels,
        test_size=test_fraction,
        stratify=labels,
        random_state=seed,
    )
    return Splits(
        train=Split(pixels=train_pixels, labels=train_labels),
        test=Split(pixels=test_pixels, labels=test_labels),
    )
