"""The integer network at the speed of BLAS.

Everything is computed in floating point where that is exact: a sum whose every partial sum is an
integer below 2^53 has no rounding in float64, in whatever order it is added; below 2^24 the same
holds for float32, which is twice as fast. Scaling by a power of two is exact as well. A
requantization beyond 2^53 goes by int64. ``Network`` refuses layers that could go further.

``adq.golden.integer_network_reference`` computes the same slowly, bit plane by bit plane.

Inside, images are the last axis, (C, H, W, N): then a convolution's windows are copied in long
runs, its product comes out in the layout of the next layer, and flattening is free.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from adq.golden.network import (
    EXACT_FLOAT64,
    INPUT,
    AveragePool2d,
    Concat,
    Conv2d,
    Gather,
    Linear,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Multiply,
    Network,
    Node,
    Requantizing,
    Rescale,
)
from adq.golden.requantize import Requantize, requantize

EXACT_FLOAT32 = 2**24
"""Integers of a smaller magnitude are exact in float32."""

UNROLLED_BYTES = 2**21
"""Convolution windows unrolled at a time: they stay in the cache between copy and product."""

_Part = tuple[slice, ...]
"""Where a part of a tensor stands in it; () for the whole."""

BATCH = 64
"""Images that ``logits`` computes at a time in each thread."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """Every integer that a network computes for a batch of N images."""

    accumulators: dict[str, np.ndarray]
    """int64 (N, ...) of every matrix layer and average pool, bias included, by node."""
    outputs: dict[str, np.ndarray]
    """Activations (N, ...) of every node that gives some, in the dtype of their format, by node."""
    logits: np.ndarray
    """int64 (N, classes, ...): accumulators of the network's first output, or its activations."""

    @property
    def classes(self) -> np.ndarray:
        """int64 (N, ...): the position of the largest logit, the first of equal ones."""
        classes: np.ndarray = self.logits.argmax(axis=1)
        return classes


def run(
    network: Network,
    inputs: np.ndarray,
    *,
    compute: Callable[[Network, str, np.ndarray], np.ndarray] | None = None,
) -> Trace:
    """Run a network on integer images (N, C, H, W) and keep every integer.

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
        if isinstance(node, Requantizing):
            if isinstance(node, Rescale):
                total = source.astype(np.int64)
            elif isinstance(node, Multiply):
                total = source.astype(np.int64) * tensors[node.other]
            else:
                total = accumulators[node.name] = compute(network, node.name, source)
            if node.requantize is not None:
                skip = node.requantize.skip
                added = None if skip is None else tensors[skip]
                tensors[node.name] = requantize(total, node.requantize, added)
        else:
            sources = [_images_last(tensors[name]) for name in node.reads]
            output = _images_first(_rearranged(network, node, sources))
            tensors[node.name] = output.astype(network.formats[node.name].dtype, copy=False)
    del tensors[INPUT]
    first = network.outputs[0]
    logits = accumulators[first] if first not in tensors else tensors[first].astype(np.int64)
    return Trace(accumulators=accumulators, outputs=tensors, logits=logits)


def accumulate(network: Network, name: str, layer_input: np.ndarray) -> np.ndarray:
    """Compute one node's accumulators, bias included, from the integers that it reads.

    Takes (N, ...) in the shape of the node's input and returns int64 (N, ...) in the shape of its
    output. The node is a matrix layer or an average pool.
    """
    node = network[name]
    total = np.empty((*network.shapes[name], len(layer_input)), dtype=np.int64)
    for part, products in _products(network, node, _images_last(layer_input)):
        total[part] = products
    if isinstance(node, MatrixLayer):
        total += node.bias.reshape(-1, *[1] * (total.ndim - 1))
    return _images_first(total)


def logits(network: Network, inputs: np.ndarray, *, threads: int | None = None) -> np.ndarray:
    """Compute the network's first output, int64 (N, classes, ...), and keep nothing else.

    For whole test sets: memory is that of ``BATCH`` images a thread. Takes ``threads`` threads,
    as many as this process has cores where that is left out.

    Raises
    ------
    NetworkError
        As ``run``.

    """
    inputs = network.check_inputs(inputs)
    threads = threads or len(os.sched_getaffinity(0))
    size = min(BATCH, math.ceil(len(inputs) / threads))
    batches = [inputs[first : first + size] for first in range(0, len(inputs), size)]
    # Each thread runs its own images from end to end, products included.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(functools.partial(_logits, network), batches)))


def _logits(network: Network, inputs: np.ndarray) -> np.ndarray:
    first = network[network.outputs[0]]
    tensors = {INPUT: _images_last(inputs)}
    for node in network.nodes:
        sources = [tensors[name] for name in node.reads]
        if isinstance(node, Requantizing) and node.requantize is not None:
            tensors[node.name] = _requantized(network, node, node.requantize, tensors)
        elif not isinstance(node, Requantizing):
            tensors[node.name] = _rearranged(network, node, sources)
        if node is first:
            if node.name in tensors:
                return _images_first(tensors[node.name]).astype(np.int64)
            return accumulate(network, node.name, _images_first(sources[0]))
        for name in set(node.reads):
            if network.last_readers[name] is node:
                del tensors[name]
    raise AssertionError("an output is a node")


def _requantized(
    network: Network, node: Requantizing, parameters: Requantize, tensors: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the activations of a node, in floating point wide enough for their readers."""
    source = tensors[node.input]
    output = np.empty((*network.shapes[node.name], source.shape[-1]), dtype=np.float32)
    exact = network.bounds[node.name].requantized < EXACT_FLOAT64
    bias = getattr(node, "bias", np.zeros_like(parameters.multiplier)).astype(np.int64)
    skip = None if parameters.skip is None else tensors[parameters.skip]
    finish = _in_float64 if exact else _in_int64
    parts = _products(network, node, source)
    if isinstance(node, Multiply):
        parts = iter([((), source.astype(np.float64) * tensors[node.other])])
    for part, products in parts:
        output[part] = finish(products, bias, parameters, None if skip is None else skip[part])
    return output


def _in_float64(
    products: np.ndarray, bias: np.ndarray, parameters: Requantize, skip: np.ndarray | None
) -> np.ndarray:
    """Requantize (C, ...) products in float64, where all of it stays below 2^53."""

    def columns(multiplier: np.ndarray) -> np.ndarray:
        """Give each channel's real factor, beside the axes of the products."""
        factor: np.ndarray = np.ldexp(multiplier.astype(np.float64), -parameters.shift)
        return factor.reshape(-1, *[1] * (products.ndim - 1))

    total: np.ndarray = products * columns(parameters.multiplier)
    constant = bias * parameters.multiplier + parameters.rounding
    total += columns(constant if parameters.offset is None else constant + parameters.offset)
    if skip is not None:
        total += skip * columns(np.array(parameters.skip_factors))
    np.floor(total, out=total)
    return np.clip(total, parameters.format.lo, parameters.format.hi, out=total)


def _in_int64(
    products: np.ndarray, bias: np.ndarray, parameters: Requantize, skip: np.ndarray | None
) -> np.ndarray:
    """Requantize (C, ...) products in int64."""
    total = products.astype(np.int64) + bias.reshape(-1, *[1] * (products.ndim - 1))
    skip = None if skip is None else skip.astype(np.int64)[None]
    images: np.ndarray = requantize(total[None], parameters, skip)
    activations: np.ndarray = images[0]
    return activations


def _products(
    network: Network, node: Node, source: np.ndarray
) -> Iterator[tuple[_Part, np.ndarray]]:
    """Yield a node's sums of products, without bias, in parts.

    Takes (C, H, W, N) or (I, N), and yields where in (O, OH, OW, N) or (O, N) a part belongs and
    its sums, exact in floating point.
    """
    if isinstance(node, Rescale):
        yield (), source
        return
    exact = np.float32 if network.bounds[node.name].products < EXACT_FLOAT32 else np.float64
    source = source.astype(exact, copy=False)
    if isinstance(node, AveragePool2d):
        _, height, width = network.shapes[node.name]
        yield (), functools.reduce(np.add, _elements(node, source, height, width))
    elif isinstance(node, Linear):
        yield (), node.weight.astype(exact) @ source
    elif isinstance(node, Conv2d):
        yield from _convolution(node, source, network.shapes[node.name])
    else:
        raise AssertionError(f"{node.name} multiplies nothing")


def _convolution(
    node: Conv2d, source: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[_Part, np.ndarray]]:
    outputs, images = shape[0], source.shape[-1]
    weights = node.weight.astype(source.dtype).reshape(node.groups, -1, node.rows)
    if node.kernel == (1, 1) and node.stride == (1, 1) and node.padding == (0, 0):
        products = weights @ source.reshape(node.groups, node.rows, -1)
        yield (), products.reshape(*shape, images)
        return
    if any(node.padding):
        source = _padded(source, node.padding, 0)
    reach = tuple(
        step * (side - 1) + 1 for step, side in zip(node.dilation, node.kernel, strict=True)
    )
    for rows, columns, some in _blocks(node, source, shape):
        below = source[
            :,
            rows.start * node.stride[0] :,
            columns.start * node.stride[1] :,
            some.start : some.stop,
        ]
        view = np.lib.stride_tricks.sliding_window_view(below, reach, axis=(1, 2))
        view = view[:, :: node.stride[0], :: node.stride[1]][:, : len(rows), : len(columns)]
        view = view[..., :: node.dilation[0], :: node.dilation[1]]
        unrolled = np.ascontiguousarray(view.transpose(0, 4, 5, 1, 2, 3))  # (C, KH, KW, ...)
        products = weights @ unrolled.reshape(node.groups, node.rows, -1)
        where = np.s_[
            :, rows.start : rows.stop, columns.start : columns.stop, some.start : some.stop
        ]
        yield where, products.reshape(outputs, len(rows), len(columns), len(some))


def _blocks(
    node: Conv2d, source: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[range, range, range]]:
    """Yield rows, columns and images of outputs whose windows fit into ``UNROLLED_BYTES``.

    Whole rows of all images where they fit; a single window of a single image always does, as it
    is no larger than its weights.
    """
    _, height, width = shape
    channels, images = source.shape[0], source.shape[-1]
    windows = max(1, UNROLLED_BYTES // (channels * math.prod(node.kernel) * source.itemsize))
    some = min(images, windows)
    columns = min(width, max(1, windows // some))
    rows = min(height, max(1, windows // (some * columns)))
    for row in range(0, height, rows):
        for column in range(0, width, columns):
            for image in range(0, images, some):
                yield (
                    range(row, min(row + rows, height)),
                    range(column, min(column + columns, width)),
                    range(image, min(image + some, images)),
                )


def _rearranged(network: Network, node: Node, sources: list[np.ndarray]) -> np.ndarray:
    """Return the output of a node that multiplies nothing, (C, H, W, N) or (F, N)."""
    source = sources[0]
    match node:
        case MaxPool2d():
            _, height, width = network.shapes[node.name]
            padded = _padded(source, node.padding, network.formats[node.input].lo)
            return functools.reduce(np.maximum, _elements(node, padded, height, width))
        case Gather():
            for axis, positions in enumerate(node.positions):
                if np.array_equal(positions, np.arange(source.shape[axis])):
                    continue
                source = source.take(np.maximum(positions, 0), axis)
                source[(*[slice(None)] * axis, positions < 0)] = 0
            return source
        case Concat():
            return np.concatenate(sources)
        case Lookup():
            entries = source.astype(np.int64) - network.formats[node.input].lo
            return node.table[entries].astype(np.float32)  # exact: 16 bits
    return source.reshape(*network.shapes[node.name], source.shape[-1])


def _elements(
    node: MaxPool2d | AveragePool2d, source: np.ndarray, height: int, width: int
) -> Iterator[np.ndarray]:
    """Yield views (C, height, width, N) that hold one element of every window each, in order."""
    down, right = node.stride
    for row in range(node.kernel[0]):
        for column in range(node.kernel[1]):
            yield source[
                :,
                row : row + down * (height - 1) + 1 : down,
                column : column + right * (width - 1) + 1 : right,
            ]


def _padded(source: np.ndarray, padding: tuple[int, int], fill: int) -> np.ndarray:
    """Return images (C, H, W, N) with ``fill`` around them."""
    vertical, horizontal = padding
    channels, height, width, images = source.shape
    shape = (channels, height + 2 * vertical, width + 2 * horizontal, images)
    padded = np.full(shape, fill, source.dtype)
    padded[:, vertical : vertical + height, horizontal : horizontal + width] = source
    return padded


def _images_last(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(images, 0, -1))


def _images_first(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(images, -1, 0))
