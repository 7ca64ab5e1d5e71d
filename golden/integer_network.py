"""The integer network at the speed of BLAS.

Products are computed in floating point where that is exact: a sum whose every partial sum is an
integer below 2^53 has no rounding in float64, in whatever order it is added; below 2^24 the same
holds for float32, which is twice as fast. ``Network`` refuses layers that could go beyond.

``golden.integer_network_reference`` computes the same slowly, bit plane by bit plane.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from golden.im2col import im2col, windows
from golden.network import (
    INPUT,
    AveragePool2d,
    Conv2d,
    MatrixLayer,
    MaxPool2d,
    Network,
)
from golden.requantize import requantize

EXACT_FLOAT32 = 2**24
"""Integers of a smaller magnitude are exact in float32."""

UNROLLED_BYTES = 2**24
"""Convolution windows unrolled at a time: enough for full speed, whatever the batch."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """Every integer that a network computes for a batch of N images."""

    accumulators: dict[str, np.ndarray]
    """int64 (N, ...) of every matrix layer and average pool, bias included, by node."""
    outputs: dict[str, np.ndarray]
    """Activations (N, ...) of every node but the last, in the dtype of their format, by node."""
    logits: np.ndarray
    """int64 (N, classes): the last node's accumulators."""

    @property
    def classes(self) -> np.ndarray:
        """int64 (N,): the position of the largest logit, the first of equal ones."""
        return self.logits.argmax(axis=1)


def run(
    network: Network,
    inputs: np.ndarray,
    *,
    compute: Callable[[Network, str, np.ndarray], np.ndarray] | None = None,
) -> Trace:
    """Run a network on integer images (N, C, H, W).

    ``compute`` gives the accumulators in place of ``accumulate``, and is called like it: with
    hardware behind it, activations go from layer to layer as the hardware computed them.

    Raises
    ------
    NetworkError
        The inputs have another shape, are no integers or leave their format.

    """
    compute = compute or accumulate
    tensors = {INPUT: network.check_inputs(inputs)}
    accumulators = {}
    for node in network.nodes:
        source = tensors[node.input]
        if isinstance(node, MatrixLayer | AveragePool2d):
            total = compute(network, node.name, source)
            accumulators[node.name] = total
            if node.requantize is not None:
                skip = tensors.get(node.requantize.skip)
                tensors[node.name] = requantize(total, node.requantize, skip)
        elif isinstance(node, MaxPool2d):
            tensors[node.name] = _maximum(node, source, network.formats[node.input].lo)
        else:
            tensors[node.name] = source.reshape(len(source), -1)
    del tensors[INPUT]
    return Trace(
        accumulators=accumulators, outputs=tensors, logits=accumulators[network.nodes[-1].name]
    )


def accumulate(network: Network, name: str, layer_input: np.ndarray) -> np.ndarray:
    """Compute one node's accumulators, bias included, from the integers that it reads.

    Takes (N, ...) in the shape of the node's input and returns int64 (N, ...) in the shape of its
    output. The node is a matrix layer or an average pool.
    """
    node = network[name]
    if isinstance(node, AveragePool2d):
        view = windows(layer_input.astype(np.int64), node.kernel, node.stride, (0, 0))
        return functools.reduce(np.add, _window_elements(view))
    exact = np.float32 if max(network.product_bounds(name)) < EXACT_FLOAT32 else np.float64
    weights = np.ascontiguousarray(node.weight_matrix.T, dtype=exact)  # (O, rows)
    source = layer_input.astype(exact)
    if not isinstance(node, Conv2d):
        return (source @ weights.T).astype(np.int64) + node.bias
    outputs, height, width = network.shapes[name]
    total = np.empty((len(source), outputs, height, width), dtype=np.int64)
    batch = max(1, UNROLLED_BYTES // (node.rows * height * width * source.itemsize))
    for first in range(0, len(source), batch):
        images = source[first : first + batch]
        matrix = im2col(images, node.kernel, node.stride, node.padding)
        products = (weights @ matrix.T).reshape(outputs, len(images), height, width)
        total[first : first + batch] = products.transpose(1, 0, 2, 3)
    total += node.bias[:, None, None]
    return total


def _maximum(node: MaxPool2d, source: np.ndarray, lowest: int) -> np.ndarray:
    view = windows(source, node.kernel, node.stride, node.padding, fill=lowest)
    return functools.reduce(np.maximum, _window_elements(view))


def _window_elements(view: np.ndarray):
    """Yield the images (N, C, OH, OW) that hold one element of every window each.

    A few passes over whole images are much faster than a reduction over two short axes.
    """
    *_, kernel_rows, kernel_columns = view.shape
    for row in range(kernel_rows):
        for column in range(kernel_columns):
            yield view[..., row, column]
