"""Selections of channels, rows and columns as convolutions."""

from dataclasses import dataclass

import numpy as np

from adq.golden.nodes import Gather

__all__ = ["Selection", "selection_of"]


@dataclass(frozen=True, eq=False)
class Selection:
    """A convolution that computes a ``Gather``: each output is one input.

    Attributes
    ----------
    weight : int64 (O, I, KH, KW) of 0 and 1
    stride, padding, dilation : vertical, horizontal
    """

    weight: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def selection_of(node: Gather, channels: int, sides: tuple[int, int]) -> Selection | None:
    """Return the convolution that computes a ``Gather`` of an image (channels, *sides), or None.

    Channels may be any. Rows and columns must be at equal distances, the later ones behind the
    earlier ones; those outside of the image are zeros. So it crops, pads, skips and shuffles, and
    does not repeat rows or columns.
    """
    rows = np.zeros(1, np.int64) if node.rows is None else node.rows
    columns = np.zeros(1, np.int64) if node.columns is None else node.columns
    axes = [_axis(positions, side) for positions, side in zip((rows, columns), sides, strict=True)]
    (first_y, stride_y), (first_x, stride_x) = (axis or (0, 0) for axis in axes)
    if not stride_y or not stride_x:
        return None
    # A crop begins behind the first row: the kernel has a 0 in front of its 1, as far away.
    kernel = [2 if first > 0 else 1 for first in (first_y, first_x)]
    weight = np.zeros((len(node.channels), channels, *kernel), np.int64)
    chosen = np.flatnonzero(node.channels >= 0)
    weight[chosen, node.channels[chosen], -1, -1] = 1
    return Selection(
        weight=weight,
        stride=(stride_y, stride_x),
        padding=(max(0, -first_y), max(0, -first_x)),
        dilation=(max(1, first_y), max(1, first_x)),
    )


def _axis(positions: np.ndarray, side: int) -> tuple[int, int] | None:
    """Return first position and distance of positions at equal distances; -1 stands for all that
    lie outside of ``side``.
    """
    inside = np.flatnonzero(positions >= 0)
    places = np.arange(len(positions))
    if not inside.size:
        return None
    # Where one position alone is inside, its neighbours are outside: any large distance will do.
    distance = side
    if inside.size > 1:
        distance = int(positions[inside[1]] - positions[inside[0]]) // int(inside[1] - inside[0])
    elif len(positions) == 1:
        distance = 1
    first = int(positions[inside[0]]) - distance * int(inside[0])
    expected = first + distance * places
    expected = np.where((expected >= 0) & (expected < side), expected, -1)
    return (first, distance) if distance > 0 and (expected == positions).all() else None
