"""Nodes of the integer network, and how its integers are coded.

A node is checked when it is built as far as it can be alone; ``adq.golden.network`` checks what
holds between nodes.

Notation used for shapes: N images, C channels, H rows, W columns, O outputs, I inputs, KH and KW
the kernel's sides. The shapes of a network leave out N.
"""

import dataclasses
import math

import numpy as np

from adq.golden.formats import check, hardware_weight_bits, integers
from adq.golden.im2col import output_size
from adq.golden.requantize import Requantize

MAXIMUM_PADDING = 16
"""Padding that any image can have; a larger image can have as much as a side of its own. Memory
thus follows from the images, not from a number."""

INPUT = "input"
"""Name of the tensor that holds the network's input."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A node of the graph. Its output is the tensor of the node's name."""

    name: str
    input: str
    """Tensor that it reads: an earlier node's name, or ``INPUT``."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the output for an input of ``shape``, or a ``NetworkError``."""
        raise NotImplementedError

    def _check_images(self, shape: tuple[int, ...]) -> None:
        check(
            len(shape) == 3,
            f"{self.name} takes images (C, H, W), but {self.input} has shape {shape}",
        )

    def _check_pairs(self, **pairs: tuple[int, int]) -> None:
        for what, pair in pairs.items():
            least = 0 if what == "padding" else 1
            check(
                isinstance(pair, tuple)
                and len(pair) == 2
                and all(isinstance(side, int) and side >= least for side in pair),
                f"{self.name}: {what} {pair} must be a pair of integers, each at least {least}",
            )

    def _slide(self, shape, kernel, stride, padding) -> tuple[int, int]:
        """Output rows and columns of a window that slides over images of ``shape``."""
        self._check_images(shape)
        for pad, side in zip(padding, shape[1:], strict=True):
            check(
                pad <= max(side, MAXIMUM_PADDING),
                f"{self.name}: padding {padding} is more than {self.input} of {shape[1:]} has "
                f"itself, and more than {MAXIMUM_PADDING}",
            )
        sides = tuple(map(output_size, shape[1:], kernel, stride, padding))
        check(
            min(sides) >= 1,
            f"{self.name}: a kernel of {kernel} does not fit into {self.input} of {shape[1:]}",
        )
        return sides


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MatrixLayer(Node):
    """What a convolution and a linear layer have in common: the layers that a tile computes."""

    weight: np.ndarray
    """Signed weights, outputs first."""
    weight_bits: int
    """k: precision of the weights as trained, 2 to 16."""
    bias: np.ndarray
    """int64 (O,), in the accumulator's scale."""
    requantize: Requantize | None
    """None only in the network's last node."""
    density: float | None = None
    """Activation density of the layer, 0 to 1, where it was measured."""

    def _check_layer(self, dimensions: int) -> None:
        check(
            2 <= self.weight_bits <= 16,
            f"{self.name}: weights of {self.weight_bits} bits: they have 2 to 16 bits",
        )
        limit = 1 << (self.weight_bits - 1)
        dtype = np.int8 if self.weight_bits <= 8 else np.int16
        weight = integers(self.weight, dtype, dimensions, f"{self.name}: weight")
        check(
            -limit <= weight.min() and weight.max() < limit,
            f"{self.name}: weight spans {weight.min()} to {weight.max()}, "
            f"which {self.weight_bits} bits do not hold",
        )
        bias = integers(self.bias, np.int64, 1, f"{self.name}: bias")
        check(
            len(bias) == len(weight),
            f"{self.name}: bias has {len(bias)} outputs, weight {len(weight)}",
        )
        check(
            self.density is None or 0 <= self.density <= 1,
            f"{self.name}: density {self.density} must lie between 0 and 1",
        )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @property
    def outputs(self) -> int:
        """Output channels O."""
        return self.weight.shape[0]

    @property
    def rows(self) -> int:
        """Weights of one output: I, or I/groups*KH*KW."""
        return self.weight[0].size

    @property
    def weight_matrix(self) -> np.ndarray:
        """Weights as (rows, outputs), rows in the order of ``adq.golden.im2col``."""
        return self.weight.reshape(self.outputs, self.rows).T

    @property
    def hardware_weight_bits(self) -> int:
        """kw: width of the weights in the tile, the next of 2, 4, 8 and 16."""
        return hardware_weight_bits(self.weight_bits)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d(MatrixLayer):
    """A convolution with weights (O, I/groups, KH, KW), padded with zeros.

    Inputs and outputs fall into ``groups`` equal parts, in order, each a convolution of its own.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int = 1

    def __post_init__(self):
        self._check_layer(4)
        self._check_pairs(stride=self.stride, padding=self.padding)
        check(
            isinstance(self.groups, int) and self.groups >= 1 and self.outputs % self.groups == 0,
            f"{self.name}: {self.outputs} outputs in {self.groups} groups: each group must have "
            "as many as another",
        )

    @property
    def kernel(self) -> tuple[int, int]:
        """Sides of the kernel: (KH, KW)."""
        return self.weight.shape[2:]

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(I, H, W) to (O, OH, OW)."""
        sides = self._slide(shape, self.kernel, self.stride, self.padding)
        channels = self.groups * self.weight.shape[1]
        check(
            shape[0] == channels,
            f"{self.name} has weights for {channels} channels, but {self.input} has {shape[0]}",
        )
        return (self.outputs, *sides)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linear(MatrixLayer):
    """A linear layer with weights (O, I)."""

    def __post_init__(self):
        self._check_layer(2)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(I,) to (O,)."""
        check(
            shape == (self.rows,),
            f"{self.name} has weights for {self.rows} inputs, but {self.input} has shape {shape}",
        )
        return (self.outputs,)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2d(Node):
    """The largest integer of each window; padding never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __post_init__(self):
        self._check_pairs(kernel=self.kernel, stride=self.stride, padding=self.padding)
        check(
            all(2 * pad <= side for pad, side in zip(self.padding, self.kernel, strict=True)),
            f"{self.name}: padding {self.padding} is more than half of the kernel {self.kernel}",
        )

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(C, H, W) to (C, OH, OW)."""
        return (shape[0], *self._slide(shape, self.kernel, self.stride, self.padding))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AveragePool2d(Node):
    """The sum of each window; the division by its size is in the multiplier."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    requantize: Requantize

    def __post_init__(self):
        self._check_pairs(kernel=self.kernel, stride=self.stride)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(C, H, W) to (C, OH, OW)."""
        return (shape[0], *self._slide(shape, self.kernel, self.stride, (0, 0)))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Node):
    """Activations in another format; with a skip connection, the sum of two tensors.

    The activations take the accumulator's place in the requantization. A tensor whose readers
    have different precisions needs it, and so does an addition that no layer ends in.
    """

    requantize: Requantize

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Any shape to the same."""
        return shape


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """(C, H, W) to (C*H*W,), in this order."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Any shape to one dimension."""
        return (math.prod(shape),)
