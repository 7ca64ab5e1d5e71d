"""Nodes that compute no rounding: integers moved, joined, and put into other formats."""

import collections
import dataclasses
import math
import re

import numpy as np

from adq.golden.exchange.opening import MAXIMUM_ELEMENTS, ExchangeError
from adq.golden.exchange.values import Codes, Grid, IntegerForm, Move
from adq.golden.formats import ActivationFormat
from adq.golden.nodes import INPUT, Concat, Node, Rescale
from adq.golden.requantize import Requantize

MAXIMUM_NAME = 48


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OriginalAccumulators:
    """The file's tensor of a node's accumulators: ``unit * accumulator + remainder``."""

    tensor: str
    unit: np.ndarray
    """float64 (C,)."""
    remainder: np.ndarray
    """float64 (C,): what rounding the bias left."""


def bounded(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return a tensor's shape, or refuse one of more elements than any network has."""
    if math.prod(shape) > MAXIMUM_ELEMENTS:
        raise ExchangeError(f"{name}: has shape {shape}: at most {MAXIMUM_ELEMENTS} elements")
    return shape


class Integers:
    """Nodes of the integer network, and how each tensor stands for one of the file."""

    def __init__(self, input_shape: tuple[int, ...]):
        self.nodes: list[Node] = []
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: input_shape}
        self.formats: dict[str, ActivationFormat] = {}
        self.originals: dict[str, tuple[str, Grid]] = {}
        """The file's tensor of real numbers for a tensor of the network."""
        self.codes: dict[str, tuple[str, int]] = {}
        """The file's tensor of integers for a tensor of the network, and its base."""
        self.accumulators: dict[str, OriginalAccumulators] = {}
        self._names = {INPUT}
        self._numbers: collections.Counter[str] = collections.Counter()
        self._centred: dict[tuple[str, int], Grid] = {}

    def unique(self, wanted: str) -> str:
        """Return a name for a node, as close to a given one as the format allows."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", ".", wanted.replace("::", ".")).strip(".-")
        plain = plain[:MAXIMUM_NAME].strip(".-") or "node"
        name = plain
        while name in self._names:
            self._numbers[plain] += 1
            name = f"{plain}_{self._numbers[plain] + 1}"
        return name

    def append(self, node: Node) -> str:
        """Add a node, and return its tensor's name."""
        self._names.add(node.name)
        if isinstance(node, Concat):
            shape = node.joined_shape([self.shapes[name] for name in node.reads])
        else:
            shape = node.output_shape(self.shapes[node.input])
        self.shapes[node.name] = bounded(shape, node.name)
        if getattr(node, "requantize", True) is not None:
            self.formats[node.name] = node.output_format(self.formats[node.input])
        self.nodes.append(node)
        return node.name

    def know(self, grid: Grid, original: str) -> Grid:
        """Note which tensor of the file holds the real numbers of a tensor."""
        self.originals.setdefault(grid.tensor, (original, grid))
        return grid

    def can_be_centred(self, grid: Grid) -> bool:
        """Return whether 16 bits hold the tensor after its zero point is subtracted."""
        source = self.formats[grid.tensor]
        return max(grid.zero - source.lo, source.hi - grid.zero) < 1 << 15 or grid.zero == 0

    def centred(self, grid: Grid) -> Grid:
        """Return a tensor in which 0 stands for 0.0: what padding and products need."""
        if grid.zero == 0:
            return grid
        key = (grid.tensor, grid.zero)
        if key not in self._centred:
            source = self.formats[grid.tensor]
            form = IntegerForm.of(source.lo - grid.zero, source.hi - grid.zero, grid.scale)
            if form.zero:
                form = _signed(source.lo - grid.zero, source.hi - grid.zero, grid.scale)
            node = Rescale(
                name=self.unique(f"{grid.tensor}.centred"),
                input=grid.tensor,
                requantize=moved_by(-grid.zero, grid.shape[0], form.format),
            )
            tensor = self.append(node)
            self._centred[key] = dataclasses.replace(grid, tensor=tensor, zero=0)
        return self._centred[key]

    def join(self, parts: list[Codes], name: str, *, scale: float, zero: int) -> Codes:
        """Add integers of the file one after another, in one format.

        ``zero`` is the file's integer that stands for 0.0.
        """
        formats = [self.formats[part.tensor] for part in parts]
        bases = {part.base for part in parts}
        base, tensors = parts[0].base, [part.tensor for part in parts]
        if len(bases) != 1 or len(set(formats)) != 1:
            pairs = list(zip(formats, parts, strict=True))
            lowest = min(each.lo + part.base - zero for each, part in pairs)
            highest = max(each.hi + part.base - zero for each, part in pairs)
            form = IntegerForm.of(lowest, highest, scale)
            base = zero - form.zero
            tensors = [self._in_format(part, base, form.format) for part in parts]
        if len(parts) == 1:
            return Codes(tensor=tensors[0], shape=parts[0].shape, base=base)
        node = Concat(name=self.unique(name), input=tensors[0], others=tuple(tensors[1:]))
        tensor = self.append(node)
        return Codes(tensor=tensor, shape=self.shapes[tensor], base=base)

    def moved(self, tensor: str, moves: tuple[Move, ...]) -> str:
        """Add nodes that only move integers."""
        for move in moves:
            tensor = self.append(move.make(name=self.unique(move.name), input=tensor))
        return tensor

    def _in_format(self, part: Codes, base: int, target: ActivationFormat) -> str:
        """Add integers in a format that holds all of them."""
        if part.base == base and self.formats[part.tensor] == target:
            return part.tensor
        node = Rescale(
            name=self.unique(f"{part.tensor}.part"),
            input=part.tensor,
            requantize=moved_by(part.base - base, part.shape[0], target),
        )
        return self.append(node)


def moved_by(offset: int, channels: int, target: ActivationFormat) -> Requantize:
    """Return a requantization that adds an integer."""
    return Requantize(
        multiplier=np.ones(channels, np.int64),
        shift=0,
        format=target,
        offset=np.full(channels, offset) if offset else None,
    )


def _signed(lo: int, hi: int, scale: float) -> IntegerForm:
    bits = max((-lo - 1).bit_length(), max(hi, 0).bit_length()) + 1
    if bits > 16:
        raise ExchangeError(
            f"a tensor of zero point {-lo} is padded, which takes {bits} bits: at most 16 are "
            "computed; use a zero point at an end of the range"
        )
    target = ActivationFormat(bits=bits, signed=True, scale=scale)
    return IntegerForm(format=target, zero=0, lo=lo, hi=hi)
