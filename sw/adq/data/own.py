"""Images of a function in the user's own module, named in a recipe as ``module:function``.

The function takes no arguments. It returns the training images, their labels, the test images and
their labels: images are uint8 (N, C, H, W), labels integers (N,) from 0, as NumPy arrays or
tensors.
"""

from typing import Any

import numpy as np

from adq.data.hub import DataError
from adq.data.splits import Split, Splits
from adq.own_code import call

__all__ = ["read_own"]


def read_own(name: str) -> tuple[Splits, int]:
    """Return the images of a function, and their number of classes.

    Raises
    ------
    DataError
        If it returns something else.
    adq.fields.ConfigError
        If there is no such function, or it fails.

    """
    result = call(name)
    if not isinstance(result, tuple | list) or len(result) != 4:
        raise DataError(
            f"{name}: returned {type(result).__name__}: it must return training images, their "
            "labels, test images and their labels"
        )
    train = _split(name, "training", *result[:2])
    test = _split(name, "test", *result[2:])
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        shapes = [tuple(each.pixels.shape[1:]) for each in (train, test)]
        raise DataError(f"{name}: training images are {shapes[0]}, and test images {shapes[1]}")
    classes = int(train.labels.max()) + 1
    if test.labels.max() >= classes:
        raise DataError(
            f"{name}: a test image has the label {test.labels.max()}, and training images have "
            f"0 to {classes - 1}"
        )
    return Splits(train=train, test=test), classes


def _split(name: str, what: str, images: Any, labels: Any) -> Split:
    pixels, numbers = np.asarray(images), np.asarray(labels)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape:
        raise DataError(
            f"{name}: {what} images are {pixels.dtype} {pixels.shape}: they must be uint8 "
            "(N, C, H, W)"
        )
    if numbers.dtype.kind not in "iu" or numbers.shape != (len(pixels),):
        raise DataError(
            f"{name}: labels of {what} images are {numbers.dtype} {numbers.shape}: they must be "
            f"integers ({len(pixels)},)"
        )
    if numbers.min() < 0:
        raise DataError(f"{name}: a {what} image has the label {numbers.min()}: labels begin at 0")
    return Split(pixels=pixels, labels=numbers.astype(np.int64))
