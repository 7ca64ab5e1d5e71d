"""Data sets by name: shape and classes of their images, known without PyTorch."""

from adq.data.hub import HUB_DATA_SETS, DataError
from adq.own_code import is_own

__all__ = ["BUILT_IN", "DATA_SETS", "DIGITS_CLASSES", "FOLDER", "images_of", "largest_level"]

BUILT_IN = {"digits": (1, 8, 8), "digits32": (3, 32, 32)}
"""(C, H, W) of an image of the data sets that need no files (``adq.data.digits``), by name."""

DIGITS_CLASSES = 10
"""Classes of these."""

FOLDER = "folder"
"""Name of the data set that is a folder of image files (``adq.data.folders``)."""

DATA_SETS = (*BUILT_IN, *HUB_DATA_SETS, FOLDER)
"""Names of the data sets."""


DIGITS_LARGEST_LEVEL = 16
"""Largest value of a pixel of these; their smallest is 0."""


def largest_level(name: str) -> int:
    """Return the largest value that a pixel of one of ``DATA_SETS`` can have."""
    return DIGITS_LARGEST_LEVEL if name in BUILT_IN else 255


def images_of(name: str) -> tuple[tuple[int, int, int], int]:
    """Return shape (C, H, W) and classes of the images of one of ``DATA_SETS``.

    Raises
    ------
    DataError
        Of images of one's own they are known by the images alone.

    """
    if name == FOLDER or is_own(name):
        raise DataError(
            "the shape of images of one's own is not known without them: give an artifact"
        )
    if name in BUILT_IN:
        return BUILT_IN[name], DIGITS_CLASSES
    return HUB_DATA_SETS[name].shape, HUB_DATA_SETS[name].classes
