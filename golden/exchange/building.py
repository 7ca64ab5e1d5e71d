"""Builds the integer network: a node where a quantizer makes integers of what was computed."""

import dataclasses
import itertools

import numpy as np

from adq.golden.exchange.integers import Integers, OriginalAccumulators, moved_by
from adq.golden.exchange.opening import ExchangeError
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
    Pending,
    Quantizer,
    Tabled,
    making,
)
from adq.golden.network import Network
from adq.golden.nodes import INPUT, MAXIMUM_TABLE_BITS, AveragePool2d, Lookup, Rescale


class Builder(Integers):
    """Nodes of the integer network, and how each tensor stands for one of the file."""

    def __init__(self, input_shape: tuple[int, ...]):
        super().__init__(input_shape)
        self.roundings: list[Rounding] = []

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
            make=making(Rescale, input=grid.tensor),
            shape=grid.shape,
            unit=unit,
            factor=unit,
            offset=np.zeros(channels),
            bound=np.full(channels, bound),
            shift=-grid.zero,
        )

    def exactly(self, value: Pending, *, most: int = 16) -> Grid | None:
        """Add sums as they are, where they have one scale and at most so many bits.

        Two tensors that are added may have scales of which one is a multiple of the other.
        """
        plain = value.is_open and not value.is_layer and not value.offset.any()
        if not plain or np.unique(value.factor).size != 1 or value.factor[0] <= 0:
            return None
        scale, bound, skip = float(value.factor[0]), int(value.bound.max()), value.skip
        if skip is not None:
            own, others = _multiples(scale / skip.scale)
            if own == 0:
                return None
            scale /= own
            reach = self.formats[skip.tensor].magnitude + abs(skip.zero)
            bound = own * bound + others * reach
        unsigned = self._never_negative(value)
        bits = bound.bit_length() + (not unsigned)
        if bits > most:
            return None
        lo, hi = (0, (1 << bits) - 1) if unsigned else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        codes = self.settle(value, Quantizer(scale=scale, zero=0, lo=lo, hi=hi))
        return Grid(tensor=codes.tensor, shape=codes.shape, scale=scale, zero=-codes.base)

    # Outputs

    def output(self, value: Pending) -> str:
        """Add what the network returns without a quantizer: its accumulators where they suffice."""
        one_scale = np.unique(value.unit).size == 1 and value.unit[0] > 0
        bias = integer_bias(value)
        if bias is not None and value.is_bare and one_scale:
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
        """Return integers as they are, where a quantizer changes none of them."""
        if np.float32(grid.scale) != np.float32(quantizer.scale):
            return None
        source = self.formats[grid.tensor]
        lo, hi = source.lo - grid.zero, source.hi - grid.zero
        if lo < quantizer.lo - quantizer.zero or hi > quantizer.hi - quantizer.zero:
            return None
        return Codes(tensor=grid.tensor, shape=grid.shape, base=quantizer.zero - grid.zero)

    def _never_negative(self, value: Pending) -> bool:
        """Return whether no sum is negative, zero points included."""
        read = [
            value.make.keywords[each] for each in ("input", "other") if each in value.make.keywords
        ]
        lowest = min(self.formats[name].lo for name in read)
        skip = value.skip
        other = 0 if skip is None else self.formats[skip.tensor].lo - skip.zero
        return lowest >= 0 and value.shift >= 0 and other >= 0

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
                requantize=moved_by(after - before, self.shapes[tensor][0], target),
            )
            tensor = self.append(node)
        return tensor

    def _tabled(self, value: Pending, form: IntegerForm, rounding: str) -> Tabled | None:
        """Return what has few bits, but for a layer, as a table: it rounds as the file does.

        Not where a multiplication and a shift do the same, and not where channels differ.
        """
        numbers = np.stack([value.unit, value.factor, value.offset])
        single = (numbers == numbers[:, :1]).all() and numbers[1, 0] > 0
        if not single or value.make.func not in (Rescale, AveragePool2d):
            return None
        skip = None if value.skip is None else self.formats[value.skip.tensor]
        told = requantization(value, form, rounding, name=value.name, bias=None, skip=skip)[1]
        if told.exact and not told.halves_up:
            return None
        unit, ratio = float(value.unit[0]), np.float32(value.factor[0] / value.unit[0])
        if value.make.func is Rescale and skip is None:
            tensor = value.make.keywords["input"]
            sums: Grid | None = Grid(
                tensor=tensor, shape=self.shapes[tensor], scale=unit, zero=-value.shift
            )
            if self.formats[tensor].bits > MAXIMUM_TABLE_BITS:
                return None
        else:
            if skip is not None and ratio != 1:
                return None
            plain = dataclasses.replace(
                value, factor=value.unit, offset=0 * value.offset,
                least=-np.inf, most=np.inf, moves=(),
            )  # fmt: skip
            sums = self.exactly(plain, most=MAXIMUM_TABLE_BITS)
        if sums is None:
            return None
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


def _multiples(ratio: float) -> tuple[int, int]:
    """Return two small integers of this ratio, one of them 1; zeros where there are none."""
    for own, others in ((round(ratio), 1), (1, round(1 / ratio))):
        if own and others and abs(ratio - own / others) < 1e-6 * ratio:
            return own, others
    return 0, 0
