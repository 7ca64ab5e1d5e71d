"""The integer network slow and obvious, the way the tile computes it.

Matrix products go bit plane by bit plane: the columns of a weight bit count the rows where weight
and activation plane are both 1, the counts of one weight fuse with the top column negative, and
the accumulator doubles before it adds the next plane, most significant first. Everything else is
Python integers in loops, so nothing here can wrap.

This is what ``adq.golden.integer_network`` is tested against; it shares only the shapes with it.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from adq.golden.integer_network import Trace
from adq.golden.network import (
    INPUT,
    ActivationFormat,
    AveragePool2d,
    Concat,
    Conv2d,
    Gather,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Multiply,
    Network,
    Requantize,
    Rescale,
)

BELOW_ALL = -(2**63)
"""An integer below those of all formats: padding is never the largest."""


def run(network: Network, inputs: np.ndarray) -> Trace:
    """Run a network on integer images (N, C, H, W), as ``adq.golden.integer_network.run`` does."""
    accumulators: dict[str, list[np.ndarray]] = {}
    outputs: dict[str, list[np.ndarray]] = {}
    for image in network.check_inputs(inputs):
        tensors = {INPUT: image.astype(object)}
        for node in network.nodes:
            source = tensors[node.input]
            shape = network.shapes[node.name]
            if isinstance(node, MatrixLayer | AveragePool2d):
                total = _accumulate(node, source, network.formats[node.input], shape)
                accumulators.setdefault(node.name, []).append(total)
                if node.requantize is None:
                    continue
                tensors[node.name] = _requantize(total, node.requantize, tensors)
            elif isinstance(node, Rescale | Multiply):
                if isinstance(node, Multiply):
                    source = _product(source, tensors[node.other])
                tensors[node.name] = _requantize(source, node.requantize, tensors)
            elif isinstance(node, MaxPool2d):
                tensors[node.name] = _largest(node, source, shape)
            elif isinstance(node, Gather):
                tensors[node.name] = _chosen(node, source, shape)
            elif isinstance(node, Lookup):
                tensors[node.name] = _looked_up(node, source, network.formats[node.input])
            elif isinstance(node, Concat):
                channels = [channel for name in node.reads for channel in tensors[name]]
                tensors[node.name] = np.array(channels, dtype=object).reshape(shape)
            else:
                tensors[node.name] = source.reshape(shape)
            outputs.setdefault(node.name, []).append(tensors[node.name])
    stacked = {name: np.stack(images).astype(np.int64) for name, images in accumulators.items()}
    activations = {
        name: np.stack(images).astype(network.formats[name].dtype)
        for name, images in outputs.items()
    }
    first = network.outputs[0]
    return Trace(
        accumulators=stacked,
        outputs=activations,
        logits=activations[first].astype(np.int64) if first in activations else stacked[first],
    )


def bit_serial_product(
    weights: list[int],
    activations: list[int],
    weight_bits: int,
    activations_format: ActivationFormat,
) -> int:
    """Multiply and add integers the way one output of the tile does."""
    accumulator = 0
    for plane in reversed(range(activations_format.bits)):
        fused = 0
        for column in range(weight_bits):
            count = sum(
                (weight >> column) & (activation >> plane) & 1
                for weight, activation in zip(weights, activations, strict=True)
            )
            fused += (-count if column == weight_bits - 1 else count) << column
        first = plane == activations_format.bits - 1
        accumulator = 2 * accumulator + (-fused if first and activations_format.signed else fused)
    return accumulator


def _accumulate(
    node: MatrixLayer | AveragePool2d,
    source: np.ndarray,
    source_format: ActivationFormat,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return the accumulators of one image, in the node's shape."""
    total = np.empty(shape, dtype=object)
    for position in itertools.product(*map(range, shape)):
        if isinstance(node, AveragePool2d):
            window = _window(node, source[position[0]], position[1:], node.kernel, (0, 0))
            total[position] = sum(window)
            continue
        output = position[0]
        if isinstance(node, Conv2d):
            inputs, outputs = len(source) // node.groups, len(node.weight) // node.groups
            group = output // outputs
            activations = [
                activation
                for channel in source[group * inputs : (group + 1) * inputs]
                for activation in _window(node, channel, position[1:], node.kernel, node.padding)
            ]
        else:
            activations = source.tolist()
        weights = node.weight[output].ravel().tolist()
        product = bit_serial_product(weights, activations, node.hardware_weight_bits, source_format)
        total[position] = product + int(node.bias[output])
    return total


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    product = np.empty(one.shape, dtype=object)
    for position in itertools.product(*map(range, one.shape)):
        # One factor a channel stands at position 0 of every other axis.
        place = [min(p, side - 1) for p, side in zip(position, other.shape, strict=True)]
        product[position] = one[position] * other[tuple(place)]
    return product


def _chosen(node: Gather, source: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    chosen = np.empty(shape, dtype=object)
    for position in itertools.product(*map(range, shape)):
        place = [int(axis[p]) for axis, p in zip(node.positions, position, strict=True)]
        chosen[position] = 0 if -1 in place else source[tuple(place)]
    return chosen


def _looked_up(node: Lookup, source: np.ndarray, source_format: ActivationFormat) -> np.ndarray:
    found = np.empty(source.shape, dtype=object)
    for position in itertools.product(*map(range, source.shape)):
        found[position] = int(node.table[source[position] - source_format.lo])
    return found


def _largest(node: MaxPool2d, source: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    largest = np.empty(shape, dtype=object)
    for channel, *place in itertools.product(*map(range, shape)):
        window = _window(node, source[channel], place, node.kernel, node.padding, outside=BELOW_ALL)
        largest[channel, *place] = max(window)
    return largest


def _window(
    node: Conv2d | AveragePool2d | MaxPool2d,
    channel: np.ndarray,
    place: Sequence[int],
    kernel: tuple[int, int],
    padding: tuple[int, int],
    outside: int = 0,
) -> list[int]:
    """Return the elements of one window of a channel (H, W), with ``outside`` where it is
    padding.
    """
    elements = []
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            down, right = node.dilation if isinstance(node, Conv2d) else (1, 1)
            y = place[0] * node.stride[0] + row * down - padding[0]
            x = place[1] * node.stride[1] + column * right - padding[1]
            inside = 0 <= y < channel.shape[0] and 0 <= x < channel.shape[1]
            elements.append(channel[y, x] if inside else outside)
    return elements


def _requantize(
    total: np.ndarray, parameters: Requantize, tensors: Mapping[str, np.ndarray]
) -> np.ndarray:
    activations = np.empty(total.shape, dtype=object)
    for position in itertools.product(*map(range, total.shape)):
        channel = position[0]
        scaled = total[position] * int(parameters.multiplier[channel])
        if parameters.skip is not None and parameters.skip_multiplier is not None:
            skip = int(tensors[parameters.skip][position])
            product = skip * int(parameters.skip_multiplier[channel])
            scaled += product * 2**parameters.skip_shift
        if parameters.offset is not None:
            scaled += int(parameters.offset[channel])
        if parameters.shift > 0:
            scaled += 2 ** (parameters.shift - 1)
        rounded = scaled // 2**parameters.shift
        activations[position] = min(max(rounded, parameters.format.lo), parameters.format.hi)
    return activations
