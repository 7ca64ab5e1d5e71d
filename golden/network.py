"""The integer network: the result of training, and the function that every implementation computes.

All numbers are integers; the only floats are the scales that say what an integer stands for, and
the activation densities that explain the precisions. The arithmetic is the project's numeric
contract (``docs/golden-format.md``). A network is checked when it is built: a width that could
overflow is an error here, so that no implementation has to wrap or saturate silently.
"""

import dataclasses
import math
import re
from functools import cached_property
from typing import NamedTuple

import numpy as np

from adq.golden.formats import (
    ActivationFormat,
    NetworkError,
    check,
    hardware_weight_bits,
)
from adq.golden.nodes import (
    INPUT,
    AveragePool2d,
    Concat,
    Conv2d,
    Flatten,
    Gather,
    Linear,
    Lookup,
    MatrixLayer,
    MaxPool2d,
    Multiply,
    Node,
    Requantizing,
    Rescale,
    Reshape,
)
from adq.golden.requantize import MAXIMUM_SHIFT, Requantize

__all__ = [
    "INPUT",
    "MAXIMUM_SHIFT",
    "ActivationFormat",
    "AveragePool2d",
    "Concat",
    "Conv2d",
    "Flatten",
    "Gather",
    "Linear",
    "Lookup",
    "MatrixLayer",
    "MaxPool2d",
    "Multiply",
    "Network",
    "NetworkError",
    "Node",
    "Requantize",
    "Requantizing",
    "Rescale",
    "Reshape",
    "hardware_weight_bits",
]

EXACT_FLOAT64 = 2**53
"""Sums of products stay below this, so that float64 matrix products are exact."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class Bounds(NamedTuple):
    """Largest absolute values of a node's integers, over all of its channels."""

    products: int
    """Largest partial sum of products, without bias."""
    accumulator: int
    """Largest accumulator: sum of products and bias."""
    requantized: int
    """Largest number up to the shift of the requantization, the accumulator included."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A graph of integer nodes in topological order.

    A convolution or linear layer without requantization is an output, and nothing reads it: its
    accumulators are logits. All of its channels share one scale, since the class is the position
    of the largest. Other outputs are activations like any.

    Raises
    ------
    NetworkError
        Names that repeat or that no node has, shapes that do not fit, and widths that could
        overflow. The message names the node.

    """

    name: str
    input_shape: tuple[int, ...]
    """(C, H, W) of one image, or (F,) of a vector."""
    input_format: ActivationFormat
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...] = ()
    """Nodes that give what the network returns; the last node alone where none is given. The first
    of them gives the class."""

    def __post_init__(self) -> None:
        check(len(self.nodes) > 0, "a network has at least one node")
        check(
            len(self.input_shape) in (1, 3) and min(self.input_shape) >= 1,
            f"input shape {self.input_shape}: it must be (C, H, W) or (F,), none of them 0",
        )
        if not self.outputs:
            object.__setattr__(self, "outputs", (self.nodes[-1].name,))
        self._check_graph()
        # Nodes check shapes and formats while these are found.
        assert self.shapes.keys() >= self.formats.keys()
        for node in self.nodes:
            self._check_requantize(node)
        for node in self.nodes:
            self._check_widths(node)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor without N, by name."""
        shapes = {INPUT: tuple(self.input_shape)}
        for node in self.nodes:
            if isinstance(node, Concat):
                shapes[node.name] = node.joined_shape([shapes[name] for name in node.reads])
            else:
                shapes[node.name] = node.output_shape(shapes[node.input])
        return shapes

    @cached_property
    def formats(self) -> dict[str, ActivationFormat]:
        """Format of every tensor of activations, by name; logits have none."""
        formats = {INPUT: self.input_format}
        for node in self.nodes:
            if not _gives_logits(node):
                formats[node.name] = node.output_format(formats[node.input])
        return formats

    @cached_property
    def bounds(self) -> dict[str, Bounds]:
        """Bounds of the integers of each node that multiplies."""
        return {
            node.name: self._bounds(node) for node in self.nodes if isinstance(node, Requantizing)
        }

    @property
    def matrix_layers(self) -> tuple[MatrixLayer, ...]:
        """The convolutions and linear layers, in order."""
        return tuple(node for node in self.nodes if isinstance(node, MatrixLayer))

    @property
    def accumulating(self) -> tuple[str, ...]:
        """Names of the nodes that have accumulators: matrix layers and average pools."""
        return tuple(
            node.name for node in self.nodes if isinstance(node, MatrixLayer | AveragePool2d)
        )

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def matrix_layer(self, name: str) -> MatrixLayer:
        """Return a convolution or linear layer, or raise a ``KeyError``."""
        node = self[name]
        if not isinstance(node, MatrixLayer):
            raise KeyError(f"{name} is no convolution and no linear layer")
        return node

    @cached_property
    def last_readers(self) -> dict[str, Node]:
        """Name of the last node that reads each tensor, by the tensor's name."""
        return {name: node for node in self.nodes for name in node.reads}

    def check_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return images (N, C, H, W) in the input format's dtype, or a ``NetworkError``."""
        inputs = np.asarray(inputs)
        check(
            np.issubdtype(inputs.dtype, np.integer),
            f"network {self.name}: inputs are {inputs.dtype}, they must be integers",
        )
        check(
            inputs.shape[1:] == tuple(self.input_shape) and inputs.size > 0,
            f"network {self.name}: inputs have shape {inputs.shape}, they must be (N, "
            f"{', '.join(map(str, self.input_shape))}) with at least one image",
        )
        lo, hi = self.input_format.lo, self.input_format.hi
        check(
            lo <= inputs.min() and inputs.max() <= hi,
            f"network {self.name}: inputs span {inputs.min()} to {inputs.max()}, their format "
            f"{lo} to {hi}",
        )
        return inputs.astype(self.input_format.dtype, copy=False)

    def macs(self, name: str) -> int:
        """Return the number of multiplications of a matrix layer per image, including padding."""
        return self.matrix_layer(name).rows * math.prod(self.shapes[name])

    def product_bounds(self, name: str) -> list[int]:
        """Return the largest absolute value that any partial sum of products can reach, per
        channel.

        It follows from the actual weights and the input's format, without the bias. Of an average
        pool it is the sum of a window, of a rescaling the activation, of a product the product.
        """
        node = self[name]
        magnitude = self.formats[node.input].magnitude
        if isinstance(node, Rescale):
            return [magnitude] * self.shapes[name][0]
        if isinstance(node, Multiply):
            return [magnitude * self.formats[node.other].magnitude] * self.shapes[name][0]
        if isinstance(node, AveragePool2d):
            return [math.prod(node.kernel) * magnitude] * self.shapes[name][0]
        sums = np.abs(self.matrix_layer(name).weight_matrix, dtype=np.int64).sum(axis=0)
        return [int(weights) * magnitude for weights in sums]

    def accumulator_bits(self, name: str) -> int:
        """Return the bits in two's complement of a node's accumulator, whatever its input.

        They hold every partial sum of products, in any order, with and without the bias. The node
        is one of ``accumulating``.
        """
        node = self[name]
        lo, hi = self.formats[node.input].lo, self.formats[node.input].hi
        if isinstance(node, AveragePool2d):
            size = math.prod(node.kernel)
            return _signed_bits(size * lo, size * hi)
        layer = self.matrix_layer(name)
        positive = np.maximum(layer.weight_matrix, 0).sum(axis=0, dtype=np.int64).tolist()
        negative = np.minimum(layer.weight_matrix, 0).sum(axis=0, dtype=np.int64).tolist()
        bits = 1
        for up, down, bias in zip(positive, negative, layer.bias.tolist(), strict=True):
            least, most = up * lo + down * hi, up * hi + down * lo
            bits = max(bits, _signed_bits(least + min(bias, 0), most + max(bias, 0)))
        return bits

    def _check_graph(self) -> None:
        names = [node.name for node in self.nodes]
        seen = {INPUT}
        for node in self.nodes:
            check(
                _NAME.fullmatch(node.name) is not None,
                f"node name {node.name!r}: letters, digits, '_', '.' and '-', at most 64",
            )
            check(node.name not in seen, f"the name {node.name} is used twice")
            for tensor in node.reads:
                check(
                    tensor in seen or tensor in names,
                    f"{node.name} reads {tensor!r}, which no node produces",
                )
                check(
                    tensor in seen,
                    f"{node.name} reads {tensor}, which comes after it: nodes stand in "
                    "topological order, without cycles",
                )
            seen.add(node.name)
        for name in self.outputs:
            check(name in names, f"{name!r} is an output, which no node produces")
        check(len(set(self.outputs)) == len(self.outputs), "an output is there twice")
        read = {name for node in self.nodes for name in node.reads}
        for node in self.nodes:
            if _gives_logits(node):
                check(
                    node.name in self.outputs,
                    f"{node.name} must requantize: only an output leaves its accumulator",
                )
                check(
                    node.name not in read,
                    f"{node.name} leaves its accumulator, which no node can read",
                )

    def _check_requantize(self, node: Node) -> None:
        if isinstance(node, Concat):
            found = {self.formats[name] for name in node.reads}
            check(len(found) == 1, f"{node.name}: its tensors have different formats: rescale them")
        if isinstance(node, Multiply):
            shape, other = self.shapes[node.input], self.shapes[node.other]
            check(
                other in (shape, (shape[0], *[1] * (len(shape) - 1))),
                f"{node.name}: {node.other} has shape {other}, {node.input} {shape}: they must be "
                "equal, or the second one factor a channel",
            )
        if not isinstance(node, Requantizing) or node.requantize is None:
            return
        shape, requantize = self.shapes[node.name], node.requantize
        check(
            len(requantize.multiplier) == shape[0],
            f"{node.name}: multiplier has {len(requantize.multiplier)} channels, the node "
            f"{shape[0]}",
        )
        if requantize.skip is not None:
            check(
                self.shapes[requantize.skip] == shape,
                f"{node.name}: the skip connection {requantize.skip} has shape "
                f"{self.shapes[requantize.skip]}, the node {shape}",
            )

    def _check_widths(self, node: Node) -> None:
        """Check the node's worst case against int64 and against exact float64 products."""
        if node.name not in self.bounds:
            return
        bounds = self.bounds[node.name]
        check(
            bounds.products < EXACT_FLOAT64,
            f"{node.name}: its products can add up to {bounds.products}, beyond 2^53, where "
            "float64 is no longer exact: use fewer bits",
        )
        check(
            bounds.requantized < 2**63,
            f"{node.name}: bias and requantization can reach {bounds.requantized}, beyond int64: "
            "use fewer bits, a smaller multiplier or a smaller bias",
        )

    def _bounds(self, node: Requantizing) -> Bounds:
        products = self.product_bounds(node.name)
        accumulators = products
        if isinstance(node, MatrixLayer):
            accumulators = [
                bound + abs(int(bias)) for bound, bias in zip(products, node.bias, strict=True)
            ]
        requantized = accumulators
        if node.requantize is not None:
            requantized = self._requantized_bounds(accumulators, node.requantize)
        return Bounds(max(products), max(accumulators), max(requantized))

    def _requantized_bounds(self, bounds: list[int], requantize: Requantize) -> list[int]:
        scaled = [
            bound * abs(int(m)) for bound, m in zip(bounds, requantize.multiplier, strict=True)
        ]
        if requantize.skip is not None:
            skip = self.formats[requantize.skip].magnitude
            scaled = [
                bound + skip * abs(m)
                for bound, m in zip(scaled, requantize.skip_factors, strict=True)
            ]
        if requantize.offset is not None:
            scaled = [
                bound + abs(int(o)) for bound, o in zip(scaled, requantize.offset, strict=True)
            ]
        # The accumulator itself must fit too, where the multiplier is 0.
        return [
            max(bound, total) + requantize.rounding
            for bound, total in zip(bounds, scaled, strict=True)
        ]


def _signed_bits(least: int, most: int) -> int:
    """Return the bits in two's complement that hold integers from ``least`` to ``most``."""
    return max(-least - 1 if least < 0 else 0, most).bit_length() + 1


def _gives_logits(node: Node) -> bool:
    return isinstance(node, MatrixLayer) and node.requantize is None
