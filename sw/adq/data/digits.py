"""scikit-learn's handwritten digits: 1797 grey images of 8x8, 10 classes."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from adq.config import DataConfig
from adq.data.images import Images


def load(config: DataConfig, seed: int) -> Images:
    """Split the digits, every class in the same proportion, and normalize them."""
    pixels, labels = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels.reshape(-1, 1, 8, 8),  # (N, C, H, W)
        labels,
        test_size=config.test_fraction,
        stratify=labels,
        random_state=seed,
    )
    mean, deviation = train_pixels.mean(), train_pixels.std()

    def normalize(pixels: np.ndarray) -> torch.Tensor:
        return torch.tensor((pixels - mean) / deviation, dtype=torch.float32)

    return Images(
        train_images=normalize(train_pixels),
        train_labels=torch.tensor(train_labels),
        test_images=normalize(test_pixels),
        test_labels=torch.tensor(test_labels),
        classes=10,
    )
