"""Nodes of the integer network, and the number formats of their integers.

A node is checked when it is built as far as it can be alone; ``adq.golden.network`` checks what
holds between nodes.

Notation used for shapes: N images, C channels, H rows, W columns, O outputs, I inputs, KH and KW
the kernel's sides. The shapes of a network leave out N.
"""

import dataclasses
import math

import numpy as np

from adq.golden.formats import (
    ActivationFormat,
    NetworkError,
    check,
    hardware_weight_bits,
    integers,
)
from adq.golden.mapping.im2col import output_size
from adq.golden.requantize import Requantize

MAXIMUM_PADDING = 16
"""Padding that any image can have; a larger image can have as much as a side of its own. Memory
thus follows from the images, not from a number."""

MAXIMUM_TABLE_BITS = 12
"""Widest tensor that a ``Lookup`` reads: 4,096 entries."""

INPUT = "input"
"""Name of the tensor that holds the network's input."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A node of the graph. Its output tensor has the node's name."""

    name: str
    input: str
    """Tensor that it reads: an earlier node's name, or ``INPUT``."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the output for an input of ``shape``, or a ``NetworkError``."""
        raise NotImplementedError

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the tensors that it reads: first its input, then any further operands."""
        return (self.input,)

    def output_format(self, source: ActivationFormat) -> ActivationFormat:
        """Return the format of the output for an input format."""
        return source

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

    def _slide(
        self,
        shape: tuple[int, ...],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> tuple[int, int]:
        """Return the output rows and columns of a window that slides over images of ``shape``."""
        self._check_images(shape)
        for pad, side in zip(padding, shape[1:], strict=True):
            check(
                pad <= max(side, MAXIMUM_PADDING),
                f"{self.name}: padding {padding} is more than {self.input} of {shape[1:]} has "
                f"itself, and more than {MAXIMUM_PADDING}",
            )
        rows, columns = map(output_size, shape[1:], kernel, stride, padding, dilation)
        check(
            min(rows, columns) >= 1,
            f"{self.name}: a kernel of {kernel} does not fit into {self.input} of {shape[1:]}",
        )
        return rows, columns


class Requantizing(Node):
    """Base of nodes that multiply and shift their result into an output format of their own."""

    requantize: Requantize | None

    @property
    def reads(self) -> tuple[str, ...]:
        skip = self.requantize.skip if self.requantize is not None else None
        return super().reads if skip is None else (*super().reads, skip)

    def output_format(self, source: ActivationFormat) -> ActivationFormat:
        if self.requantize is None:
            raise NetworkError(f"{self.name} gives accumulators, which have no format")
        return self.requantize.format


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MatrixLayer(Requantizing):
    """Base of convolutions and linear layers, which a tile computes."""

    weight: np.ndarray
    """Signed weights, outputs first."""
    weight_bits: int
    """k: precision of the weights as trained, 2 to 16."""
    bias: np.ndarray
    """int64 (O,), in the accumulator's scale."""
    requantize: Requantize | None
    """None in an output of the network, which gives its accumulators."""
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
        return len(self.weight)

    @property
    def rows(self) -> int:
        """Number of weights per output: I, or I/groups*KH*KW."""
        return int(self.weight[0].size)

    @property
    def weight_matrix(self) -> np.ndarray:
        """Weights as (rows, outputs), rows in the order of ``adq.golden.mapping.im2col``."""
        return self.weight.reshape(self.outputs, self.rows).T

    @property
    def hardware_weight_bits(self) -> int:
        """kw: weight width in the tile, the next of 2, 4, 8 and 16."""
        return hardware_weight_bits(self.weight_bits)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d(MatrixLayer):
    """A convolution with weights (O, I/groups, KH, KW) and zero padding.

    Inputs and outputs fall into ``groups`` equal parts, in order, each a convolution of its own.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)
    """Rows and columns from one element of a window to the next."""

    def __post_init__(self) -> None:
        self._check_layer(4)
        self._check_pairs(stride=self.stride, padding=self.padding, dilation=self.dilation)
        check(
            isinstance(self.groups, int) and self.groups >= 1 and self.outputs % self.groups == 0,
            f"{self.name}: {self.outputs} outputs in {self.groups} groups: each group must have "
            "as many as another",
        )

    @property
    def kernel(self) -> tuple[int, int]:
        """Size of the kernel: (KH, KW)."""
        _, _, rows, columns = self.weight.shape
        return rows, columns

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map (I, H, W) to (O, OH, OW)."""
        sides = self._slide(shape, self.kernel, self.stride, self.padding, self.dilation)
        channels = self.groups * self.weight.shape[1]
        check(
            shape[0] == channels,
            f"{self.name} has weights for {channels} channels, but {self.input} has {shape[0]}",
        )
        return (self.outputs, *sides)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linear(MatrixLayer):
    """A linear layer with weights (O, I)."""

    def __post_init__(self) -> None:
        self._check_layer(2)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map (I,) to (O,)."""
        check(
            shape == (self.rows,),
            f"{self.name} has weights for {self.rows} inputs, but {self.input} has shape {shape}",
        )
        return (self.outputs,)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2d(Node):
    """Maximum of each window. Padding is never the maximum."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __post_init__(self) -> None:
        self._check_pairs(kernel=self.kernel, stride=self.stride, padding=self.padding)
        check(
            all(2 * pad <= side for pad, side in zip(self.padding, self.kernel, strict=True)),
            f"{self.name}: padding {self.padding} is more than half of the kernel {self.kernel}",
        )

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map (C, H, W) to (C, OH, OW)."""
        return (shape[0], *self._slide(shape, self.kernel, self.stride, self.padding))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AveragePool2d(Requantizing):
    """Sum of each window. The multiplier contains the division by the window's size."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    requantize: Requantize

    def __post_init__(self) -> None:
        self._check_pairs(kernel=self.kernel, stride=self.stride)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map (C, H, W) to (C, OH, OW)."""
        return (shape[0], *self._slide(shape, self.kernel, self.stride, (0, 0)))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Requantizing):
    """Activations in another format; with a skip connection, the sum of two tensors.

    The activations take the accumulator's place in the requantization. A tensor whose readers
    have different precisions needs it, and so do an addition and a batch norm that no layer ends
    in; the latter has its offsets in the requantization.
    """

    requantize: Requantize

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map any shape to the same."""
        return shape


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """Reshape (C, H, W) to (C*H*W,), in this order."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map any shape to one dimension."""
        return (math.prod(shape),)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Node):
    """Reshape without a change of order."""

    to: tuple[int, ...]
    """(C, H, W) or (F,)."""

    def __post_init__(self) -> None:
        check(
            len(self.to) in (1, 3) and all(isinstance(s, int) and s >= 1 for s in self.to),
            f"{self.name}: shape {self.to}: it must be (C, H, W) or (F,), none of them 0",
        )

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map any shape to one of as many elements."""
        check(
            math.prod(shape) == math.prod(self.to),
            f"{self.name}: {self.input} has shape {shape}, which is not as many integers as "
            f"{self.to}",
        )
        return self.to


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gather(Node):
    """Select channels, rows and columns. A position of -1 gives zeros.

    It crops, pads, shuffles and repeats: ``y[c, h, w] = x[channels[c], rows[h], columns[w]]``.
    """

    channels: np.ndarray
    """Positions, int32 (C,)."""
    rows: np.ndarray | None
    """Positions, int32 (H,); None, as ``columns``, for vectors."""
    columns: np.ndarray | None
    """Positions, int32 (W,)."""

    def __post_init__(self) -> None:
        check(
            (self.rows is None) == (self.columns is None),
            f"{self.name}: rows and columns go together: one of them is missing",
        )
        for what in ("channels", "rows", "columns"):
            value = getattr(self, what)
            if value is not None:
                value = integers(value, np.int32, 1, f"{self.name}: {what}")
                check(value.min() >= -1, f"{self.name}: {what} hold {value.min()}: -1 is the least")
                object.__setattr__(self, what, value)

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """Positions along every axis."""
        if self.rows is None or self.columns is None:
            return (self.channels,)
        return self.channels, self.rows, self.columns

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map (C, H, W) or (F,) to as many axes."""
        check(
            len(shape) == len(self.positions),
            f"{self.name} chooses along {len(self.positions)} axes, but {self.input} has shape "
            f"{shape}",
        )
        for positions, side in zip(self.positions, shape, strict=True):
            check(
                positions.max() < side,
                f"{self.name}: position {positions.max()} is beyond {self.input} of {shape}",
            )
        return tuple(map(len, self.positions))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Node):
    """Concatenate tensors of one format along their channels."""

    others: tuple[str, ...]
    """Tensors that follow the input."""

    def __post_init__(self) -> None:
        check(len(self.others) >= 1, f"{self.name}: a concatenation has at least two tensors")

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.input, *self.others)

    def joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the output for inputs of these shapes, or a ``NetworkError``."""
        check(
            len({shape[1:] for shape in shapes}) == 1,
            f"{self.name}: its tensors have shapes {shapes}, which differ in more than channels",
        )
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Lookup(Node):
    """Apply a function to each integer, by a table."""

    table: np.ndarray
    """int32 (2^bits of the input,): the output for each integer of the input's format, from its
    smallest on."""
    format: ActivationFormat
    """Format of the output."""

    def __post_init__(self) -> None:
        table = integers(self.table, np.int32, 1, f"{self.name}: table")
        check(
            self.format.lo <= table.min() and table.max() <= self.format.hi,
            f"{self.name}: table spans {table.min()} to {table.max()}, its format "
            f"{self.format.lo} to {self.format.hi}",
        )
        object.__setattr__(self, "table", table)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map any shape to the same."""
        return shape

    def output_format(self, source: ActivationFormat) -> ActivationFormat:
        check(
            source.bits <= MAXIMUM_TABLE_BITS and len(self.table) == 1 << source.bits,
            f"{self.name}: a table of {len(self.table)} entries for {self.input} of {source.bits} "
            f"bits: it must have 2^bits, of at most {MAXIMUM_TABLE_BITS} bits",
        )
        return self.format


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Requantizing):
    """Product of two tensors, which is requantized like an accumulator.

    The second has the first one's shape, or (C, 1, 1): one factor a channel.
    """

    other: str
    requantize: Requantize

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.input, self.other, *super().reads[1:])

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Map any shape to the same."""
        return shape
