"""Convolution windows as a matrix.

One definition of the order of rows and vectors, used by the integer network and by the mapper, so
that a word of the tile and an element of the network's product are the same thing.
"""

import numpy as np


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Count the windows along one axis; below 1 where the kernel does not fit."""
    return (size + 2 * padding - kernel) // stride + 1


def windows(
    inputs: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    fill: int = 0,
) -> np.ndarray:
    """View the windows that slide over images, padded with ``fill``.

    Takes (N, C, H, W) and returns a read-only view (N, C, OH, OW, KH, KW) of the padded images.
    """
    vertical, horizontal = padding
    if vertical or horizontal:
        around = ((0, 0), (0, 0), (vertical, vertical), (horizontal, horizontal))
        inputs = np.pad(inputs, around, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(inputs, kernel, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1]]


def im2col(
    inputs: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> np.ndarray:
    """Unroll the windows of a convolution.

    Takes (N, C, H, W) and returns (N*OH*OW, C*KH*KW) of the same dtype: vectors in the order
    (image, output row, output column), rows in the order (channel, kernel row, kernel column),
    which is the order of a weight (O, C, KH, KW) reshaped to (O, C*KH*KW). In memory the vectors
    of one row are neighbours: whole lines of an image are then copied at once.
    """
    view = windows(inputs, kernel, stride, padding)
    images, channels, height, width, *_ = view.shape
    by_row = view.transpose(1, 4, 5, 0, 2, 3)  # (C, KH, KW, N, OH, OW)
    return by_row.reshape(channels * kernel[0] * kernel[1], images * height * width).T
