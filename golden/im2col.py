"""Convolution windows as a matrix.

One definition of the order of rows and vectors, used by the integer network and by the mapper, so
that a word of the tile and an element of the network's product are the same thing.
"""

import numpy as np


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Count the windows along one axis; below 1 where the kernel does not fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def windows(
    inputs: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> np.ndarray:
    """View the windows that slide over images, padded with zeros.

    Takes (N, C, H, W) and returns a read-only view (N, C, OH, OW, KH, KW) of the padded images.
    """
    inputs = _padded(inputs, padding)
    reach = tuple(step * (side - 1) + 1 for step, side in zip(dilation, kernel, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(inputs, reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


class WindowMatrix:
    """The windows of a convolution as a matrix (N*OH*OW, C*KH*KW), formed part by part.

    Vectors stand in the order (image, output row, output column), rows in the order (channel,
    kernel row, kernel column), which is the order of a weight (O, C, KH, KW) reshaped to
    (O, C*KH*KW). Only the padded images are held; the whole matrix is larger by the kernel's size.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ):
        self._padded = np.ascontiguousarray(_padded(inputs, padding))
        self._view = windows(self._padded, kernel, stride, (0, 0), dilation)
        images, channels, height, width, *_ = self._view.shape
        self.shape: tuple[int, int] = (images * height * width, channels * kernel[0] * kernel[1])
        self.dtype = inputs.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Form the part of some vectors and some rows."""
        vectors, rows = (range(size)[each] for size, each in zip(self.shape, part, strict=True))
        images, channels, height, width, *kernel = self._view.shape
        steps = self._view.strides
        image, down, right = np.unravel_index(np.asarray(vectors, int), (images, height, width))
        channel, row, column = np.unravel_index(np.asarray(rows, int), (channels, *kernel))
        first = image * steps[0] + down * steps[2] + right * steps[3]
        beyond = channel * steps[1] + row * steps[4] + column * steps[5]
        return self._padded.reshape(-1).take((first[:, None] + beyond) // self.dtype.itemsize)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Form the whole matrix."""
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def row(self, row: int) -> np.ndarray:
        """View one row, (N, OH, OW): the same element of every window."""
        _, channels, _, _, *kernel = self._view.shape
        channel, down, right = np.unravel_index(row, (channels, *kernel))
        return self._view[:, channel, :, :, down, right]


def _padded(inputs: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Put rows and columns of zeros around images (N, C, H, W)."""
    vertical, horizontal = padding
    if not (vertical or horizontal):
        return inputs
    around = ((0, 0), (0, 0), (vertical, vertical), (horizontal, horizontal))
    return np.pad(inputs, around, constant_values=0)
