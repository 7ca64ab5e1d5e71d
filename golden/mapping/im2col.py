"""Convolution windows as a matrix.

One definition of the order of rows and vectors, used by the integer network and by the mapper, so
that a word of the tile and an element of the network's product are the same thing.
"""

import math

import numpy as np

from adq.golden.files.stored_arrays import Array


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
    (O, C*KH*KW). Only the images of the part that was formed last are held, padded.
    """

    def __init__(
        self,
        inputs: Array,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ):
        self._inputs = inputs
        self._kernel, self._stride, self._dilation = kernel, stride, dilation
        self._padding = padding
        self._held: tuple[range, np.ndarray] | None = None
        self._sizes = tuple(
            output_size(size, *of_axis)
            for size, *of_axis in zip(
                inputs.shape[2:], kernel, stride, padding, dilation, strict=True
            )
        )
        channels = inputs.shape[1]
        self.shape = (len(inputs) * math.prod(self._sizes), channels * math.prod(kernel))
        self.dtype = inputs.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Form the part of some vectors and some rows."""
        vectors, rows = (range(size)[each] for size, each in zip(self.shape, part, strict=True))
        if not len(vectors):
            return np.zeros((0, len(rows)), self.dtype)
        of_image = math.prod(self._sizes)
        images = range(vectors[0] // of_image, vectors[-1] // of_image + 1)
        padded = self._images(images)
        view = windows(padded, self._kernel, self._stride, (0, 0), self._dilation)
        _, channels, height, width, *kernel = view.shape
        steps = view.strides
        numbers = np.asarray(vectors, int) - images.start * of_image
        image, down, right = np.unravel_index(numbers, (len(images), height, width))
        channel, row, column = np.unravel_index(np.asarray(rows, int), (channels, *kernel))
        first = image * steps[0] + down * steps[2] + right * steps[3]
        beyond = channel * steps[1] + row * steps[4] + column * steps[5]
        return padded.reshape(-1).take((first[:, None] + beyond) // self.dtype.itemsize)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Form the whole matrix."""
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def row(self, row: int, images: slice = slice(None)) -> np.ndarray:
        """View one row, (N, OH, OW): the same element of every window of some images."""
        padded = self._images(range(len(self._inputs))[images])
        view = windows(padded, self._kernel, self._stride, (0, 0), self._dilation)
        _, channels, _, _, *kernel = view.shape
        channel, down, right = np.unravel_index(row, (channels, *kernel))
        return view[:, channel, :, :, down, right]

    def _images(self, images: range) -> np.ndarray:
        """Return some images, padded."""
        if self._held is None or self._held[0] != images:
            part = self._inputs[images.start : images.stop]
            self._held = images, np.ascontiguousarray(_padded(part, self._padding))
        return self._held[1]


def _padded(inputs: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Put rows and columns of zeros around images (N, C, H, W)."""
    vertical, horizontal = padding
    if not (vertical or horizontal):
        return inputs
    around = ((0, 0), (0, 0), (vertical, vertical), (horizontal, horizontal))
    return np.pad(inputs, around, constant_values=0)
