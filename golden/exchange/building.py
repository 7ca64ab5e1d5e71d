"""Builds the integer network: a node where a quantizer makes integers of what was computed."""

import collections
import dataclasses
import functools
import itertools
import math
import re

import numpy as np

from adq.golden.exchange.opening import MAXIMUM_ELEMENTS, ExchangeError
from adq.golden.exchange.rescaling import (
    IntegerBias,
    Rounding,
    integer_bias,
    requantization,
)
from adq.golden.exchange.values import (
    Codes,
    Grid,
    IntegerForm,
    Joined,
    Move,
    Pending,
    Quantizer,
    Tabled,
)
from adq.golden.formats import ActivationFormat
from adq.golden.network import Network
from adq.golden.nodes import INPUT, MAXIMUM_TABLE_BITS, AveragePool2d, Concat, Lookup, Node, Rescale
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


class Builder:
    """Nodes of the integer network, and how each tensor stands for one of the file."""

    def __init__(self, input_shape: tuple[int, ...]):
        self.nodes: list[Node] = []
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: input_shape}
        self.formats: dict[str, ActivationFormat] = {}
        self.roundings: list[Rounding] = []
        self.originals: dict[str, tuple[str, Grid]] = {}
        """The file's tensor of real numbers for a tensor of the network."""
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

    def append(self, node: Node, shapes: list[tuple[int, ...]] | None = None) -> str:
        """Add a node, and return its tensor's name."""
        self._names.add(node.name)
        source = self.shapes[node.input]
        shape = node.output_shape(source) if shapes is None else node.joined_shape(shapes)
        self.shapes[node.name] = bounded(shape, node.name)
        if getattr(node, "requantize", True) is not None:
            self.formats[node.name] = node.output_format(self.formats[node.input])
        self.nodes.append(node)
        return node.name

    def know(self, grid: Grid, original: str) -> Grid:
        """Note which tensor of the file holds the real numbers of a tensor."""
        self.originals.setdefault(grid.tensor, (original, grid))
        return grid

    # Quantizers

    def settle(self, value: Pending | Tabled | Joined | Grid, quantizer: Quantizer) -> Codes:
        """Add what a quantizer makes of a value, as integers of the file."""
        if isinstance(value, Joined):
            parts = [self.settle(part, quantizer) for part in value.parts]
            return self.join(parts, value.name, scale=quantizer.scale, zero=quantizer.zero)
        if isinstance(value, Tabled):
            form = quantizer.form()
            tensor = self._look_up(value, quantizer, form)
            return Codes(tensor=tensor, shape=self.shapes[tensor], base=quantizer.zero - form.zero)
        if isinstance(value, Grid):
            codes = self._same(value, quantizer)
            if codes is not None:
                return codes
            value = self.rescaled(value, f"{value.tensor}.rescaled")
        form = quantizer.form(value.least, value.most)
        table = self._tabled(value, form, quantizer.rounding)
        if table is not None:
            tensor = self._look_up(table, quantizer, form)
        else:
            tensor = self._within(value, form, quantizer.rounding)
        tensor = self.moved(tensor, value.moves)
        return Codes(tensor=tensor, shape=self.shapes[tensor], base=quantizer.zero - form.zero)

    def rescaled(self, grid: Grid, name: str) -> Pending:
        """Return a tensor's real numbers, for a quantizer to come."""
        channels = grid.shape[0]
        unit = np.full(channels, grid.scale)
        bound = self.formats[grid.tensor].magnitude + abs(grid.zero)
        return Pending(
            name=name,
            make=functools.partial(Rescale, input=grid.tensor),
            shape=grid.shape,
            unit=unit,
            factor=unit,
            offset=np.zeros(channels),
            bound=np.full(channels, bound),
            shift=-grid.zero,
        )

    def can_be_centred(self, grid: Grid) -> bool:
        """Whether 16 bits hold a tensor in which 0 stands for 0.0."""
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
                requantize=_moved_by(-grid.zero, grid.shape[0], form.format),
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
        tensor = self.append(node, [self.shapes[each] for each in tensors])
        return Codes(tensor=tensor, shape=self.shapes[tensor], base=base)

    def exactly(self, value: Pending) -> Grid | None:
        """Add sums as they are, where they have one scale and at most 16 bits."""
        plain = value.is_open and not value.is_layer and not value.offset.any()
        if not plain or np.unique(value.factor).size != 1 or value.factor[0] <= 0:
            return None
        if value.skip is not None and value.skip.scale != value.factor[0]:
            return None
        bound = int(value.bound.max())
        if value.skip is not None:
            bound += self.formats[value.skip.tensor].magnitude + abs(value.skip.zero)
        unsigned = self._never_negative(value)
        bits = bound.bit_length() + (not unsigned)
        if bits > 16:
            return None
        scale = float(value.factor[0])
        quantizer = Quantizer(
            scale=scale, zero=0, lo=0 if unsigned else -(1 << (bits - 1)), hi=(1 << bits) - 1
        )
        if not unsigned:
            quantizer = dataclasses.replace(quantizer, hi=(1 << (bits - 1)) - 1)
        codes = self.settle(value, quantizer)
        return Grid(tensor=codes.tensor, shape=codes.shape, scale=scale, zero=-codes.base)

    def moved(self, tensor: str, moves: tuple[Move, ...]) -> str:
        """Add nodes that only move integers."""
        for move in moves:
            tensor = self.append(move.make(name=self.unique(move.name), input=tensor))
        return tensor

    # Outputs

    def output(self, value: Pending) -> str:
        """Add what the network returns without a quantizer: its accumulators where they suffice."""
        one_scale = np.unique(value.unit).size == 1 and value.unit[0] > 0
        if value.is_layer and value.is_bare and one_scale:
            bias = integer_bias(value)
            node = value.make(name=self.unique(value.name), bias=bias.whole, requantize=None)
            name = self.append(node)
            self._know_accumulators(name, value, bias)
            error = float(np.abs(bias.remainder / value.unit).max())
            self.roundings.append(
                Rounding(node=name, exact=not error, error=error, halves_up=False)
            )
            return name
        # Channels of several scales, or a sum: 16 bits over all that they can reach.
        reach = np.abs(value.factor) * (value.bound + abs(value.shift)) + np.abs(value.offset)
        if value.bias is not None:
            reach = reach + np.abs(value.bias * value.factor / value.unit)
        largest = float(reach.max())
        if value.skip is not None:
            largest += value.skip.scale * 2 * self.formats[value.skip.tensor].magnitude
        limit = (1 << 15) - 1
        scale = largest / limit if largest > 0 else 1.0
        return self.settle(value, Quantizer(scale=scale, zero=0, lo=-limit - 1, hi=limit)).tensor

    # Parts

    def _same(self, grid: Grid, quantizer: Quantizer) -> Codes | None:
        """Integers as they are, where a quantizer changes none of them."""
        if np.float32(grid.scale) != np.float32(quantizer.scale):
            return None
        source = self.formats[grid.tensor]
        lo, hi = source.lo - grid.zero, source.hi - grid.zero
        if lo < quantizer.lo - quantizer.zero or hi > quantizer.hi - quantizer.zero:
            return None
        return Codes(tensor=grid.tensor, shape=grid.shape, base=quantizer.zero - grid.zero)

    def _in_format(self, part: Codes, base: int, target: ActivationFormat) -> str:
        """Add integers in a format that holds all of them."""
        if part.base == base and self.formats[part.tensor] == target:
            return part.tensor
        node = Rescale(
            name=self.unique(f"{part.tensor}.part"),
            input=part.tensor,
            requantize=_moved_by(part.base - base, part.shape[0], target),
        )
        return self.append(node)

    def _never_negative(self, value: Pending) -> bool:
        source = self.formats[value.make.keywords["input"]]
        skip = value.skip
        other = 0 if skip is None else self.formats[skip.tensor].lo - skip.zero
        return min(source.lo, 0) + value.shift >= 0 and other >= 0

    def _requantized(self, value: Pending, form: IntegerForm, rounding: str) -> str:
        """Add a node with the requantization that a quantizer asks for."""
        name, bias = self.unique(value.name), integer_bias(value)
        requantize, told = requantization(
            value,
            form,
            rounding,
            name=name,
            bias=bias,
            skip=None if value.skip is None else self.formats[value.skip.tensor],
        )
        fields = {} if bias is None else {"bias": bias.whole}
        self.append(value.make(name=name, requantize=requantize, **fields))
        self.roundings.append(told)
        self._know_accumulators(name, value, bias)
        return name

    def _know_accumulators(self, name: str, value: Pending, bias: IntegerBias | None) -> None:
        if value.original is not None:
            remainder = value.unit * value.shift if bias is None else bias.remainder
            self.accumulators[name] = OriginalAccumulators(
                tensor=value.original, unit=value.unit, remainder=remainder
            )

    def _within(self, value: Pending, form: IntegerForm, rounding: str) -> str:
        """Add a quantizer whose limits are narrower than those of its format.

        The integers are moved until the format's own limit is theirs, at one end and then at the
        other, and moved back.
        """
        target, moves = form.format, [0]
        if form.lo > target.lo:
            moves.insert(0, target.lo - form.lo)
        if form.hi < target.hi:
            moves.insert(0, target.hi - form.hi)
        moved = dataclasses.replace(form, zero=form.zero + moves[0])
        tensor = self._requantized(value, moved, rounding)
        for before, after in itertools.pairwise(moves):
            node = Rescale(
                name=self.unique(f"{tensor}.limit"),
                input=tensor,
                requantize=_moved_by(after - before, self.shapes[tensor][0], target),
            )
            tensor = self.append(node)
        return tensor

    def _tabled(self, value: Pending, form: IntegerForm, rounding: str) -> Tabled | None:
        """Return a rescaling or an average of few bits as a table, which rounds as the file does.

        Not where a multiplication and a shift do the same, and not where channels differ.
        """
        numbers = np.stack([value.unit, value.factor, value.offset])
        single = (numbers == numbers[:, :1]).all() and value.skip is None
        if not single or value.make.func not in (Rescale, AveragePool2d):
            return None
        told = requantization(value, form, rounding, name=value.name, bias=None, skip=None)[1]
        if told.exact and not told.halves_up:
            return None
        scale = float(value.unit[0])
        if value.make.func is Rescale:
            tensor = value.make.keywords["input"]
            sums = Grid(tensor=tensor, shape=self.shapes[tensor], scale=scale, zero=-value.shift)
            bits = self.formats[tensor].bits
        else:
            bits = int(value.bound.max()).bit_length() + (not self._never_negative(value))
        if bits > MAXIMUM_TABLE_BITS:
            return None
        if value.make.func is AveragePool2d:
            plain = dataclasses.replace(
                value, factor=value.unit, offset=0 * value.offset,
                least=-np.inf, most=np.inf, moves=(),
            )  # fmt: skip
            sums = self.exactly(plain)
        ratio = np.float32(value.factor[0] / scale)
        offset = np.float32(value.offset[0])
        least, most = np.float32(value.least), np.float32(value.most)
        return Tabled(
            name=f"{value.name}.rounded",
            grid=sums,
            function=lambda real: np.clip(real * ratio + offset, least, most),
        )

    def _look_up(self, value: Tabled, quantizer: Quantizer, form: IntegerForm) -> str:
        """Add a table of what a quantizer makes of a function of integers."""
        grid = value.grid
        source = self.formats[grid.tensor]
        if source.bits > MAXIMUM_TABLE_BITS:
            raise ExchangeError(
                f"{value.name}: a table of {source.bits} bits: at most {MAXIMUM_TABLE_BITS}"
            )
        entries = np.arange(source.lo, source.hi + 1) - grid.zero
        real = value.function(entries.astype(np.float32) * np.float32(grid.scale))
        if not np.isfinite(real).all():
            raise ExchangeError(f"{value.name}: gives values that are no finite numbers")
        table = quantizer.integers(real) + form.zero
        name = self.unique(value.name)
        self.append(Lookup(name=name, input=grid.tensor, table=table, format=form.format))
        self.roundings.append(Rounding(node=name, exact=True, error=0.0, halves_up=False))
        return name

    def network(self, name: str, outputs: list[str]) -> Network:
        """Return the network of the nodes that its outputs need."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.reads)
                nodes.append(node)
        return Network(
            name=name,
            input_shape=self.shapes[INPUT],
            input_format=self.formats[INPUT],
            nodes=tuple(nodes[::-1]),
            outputs=tuple(outputs),
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


def _moved_by(offset: int, channels: int, target: ActivationFormat) -> Requantize:
    """Return a requantization that adds an integer."""
    return Requantize(
        multiplier=np.ones(channels, np.int64),
        shift=0,
        format=target,
        offset=np.full(channels, offset) if offset else None,
    )
