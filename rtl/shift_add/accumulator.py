"""Accumulation over the bit planes of an activation vector."""

import operator
from functools import reduce

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.bit_slice import spread
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component, Words

__all__ = ["Accumulator"]


class Accumulator(Component):
    """Accumulates the sums of bit planes in each lane, least significant plane first.

    In each step ``total = acc + sum`` and ``acc = total >> 1``. Each plane has twice the weight of
    the previous one, so the lowest bit of a total is final and is shifted out. The adder is
    therefore as wide as the sum of one plane, for any number of planes. The sum comes from one of
    several inputs, one per weight width. Words that a width does not use are not clocked, and their
    contents are undefined.

    Latency: none to the totals (combinational), one cycle to the accumulators.
    Throughput: one plane per cycle.

    Parameters
    ----------
    lanes : int
        Number of parallel accumulators.
    widths : dict of int to int
        Width of a plane's sum, and of the accumulator, for each weight width (bits) that uses these
        lanes.

    Members
    -------
    sum_<n> : array of ``widths[n]`` words of ``lanes`` bits, In
        Signed sums for ``n``-bit weights, as a bit slice.
    select_<n> : In
        Selects the sums for ``n``-bit weights. At most one select is high.
    step : In
        Load the accumulators with the totals, shifted right by one bit.
    zero : In
        The plane has no bit set; its sum is ignored.
    first : In
        The plane is the first of its vector; the accumulators are ignored.
    negative : In
        The sum is subtracted.
    totals : array of ``max(widths) + 1`` words of ``lanes`` bits, Out
        Accumulators plus or minus the sum. For ``n``-bit weights the lowest ``widths[n] + 1`` words
        are valid.
    accumulators : array of ``max(widths)`` words of ``lanes`` bits, Out
        Contents of the accumulators. For ``n``-bit weights the lowest ``widths[n]`` words are
        valid.
    """

    step: Signal
    zero: Signal
    first: Signal
    negative: Signal
    totals: Words
    accumulators: Words

    def __init__(self, *, lanes: int, widths: dict[int, int]):
        self.lanes = lanes
        self.widths = widths
        self.width = max(widths.values())
        super().__init__(
            {
                **{f"sum_{n}": In(data.ArrayLayout(lanes, width)) for n, width in widths.items()},
                **{f"select_{n}": In(1) for n in widths},
                "step": In(1),
                "zero": In(1),
                "first": In(1),
                "negative": In(1),
                "totals": Out(data.ArrayLayout(lanes, self.width + 1)),
                "accumulators": Out(data.ArrayLayout(lanes, self.width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, widths = self.lanes, self.widths
        select = {n: getattr(self, f"select_{n}") for n in widths}

        def used(word: int) -> Value:
            """Return a bit that is high if the selected width uses the word."""
            return Cat(select[n] for n in select if widths[n] > word).any()

        adds = {n: Signal(name=f"adds_{n}") for n in select}
        negative = Signal(lanes, name="negative_lanes")
        m.d.comb += [adds[n].eq(select[n] & ~self.zero) for n in select]
        m.d.comb += negative.eq(spread(self.negative & ~self.zero, lanes))
        stored = [Signal(lanes, name=f"acc_{j}", reset_less=True) for j in range(self.width)]
        # Unused words hold their contents and are masked out of the sum.
        keeps = {}
        for j in (0, *sorted(widths.values())[:-1]):
            keeps[j] = Signal(lanes, name=f"keep_{j}")
            m.d.comb += keeps[j].eq(spread(~self.first & used(j), lanes))

        kept, terms = [], []
        for j in range(self.width + 1):
            # Both operands are sign-extended by one word above the highest word of each width.
            ends = [n for n in select if widths[n] == j]
            held: Value = stored[j - 1] if ends else stored[j]
            if ends and j < self.width:
                held = Mux(select[ends[0]], held, stored[j])
            keep = keeps[max(low for low in keeps if low <= j - len(ends))]
            kept.append(Signal(lanes, name=f"kept_{j}"))
            m.d.comb += kept[-1].eq(held & keep)
            chosen = [
                getattr(self, f"sum_{n}")[min(j, widths[n] - 1)] & spread(adds[n], lanes)
                for n in select
                if widths[n] >= j
            ]
            terms.append(Signal(lanes, name=f"term_{j}"))
            m.d.comb += terms[-1].eq(reduce(operator.or_, chosen) ^ negative)
        splits = [3 * self.width // 4] if self.width > TileParameters.longest_ripple else []
        *totals, _ = bit_slice.add_select(
            m, kept, terms, negative, width=self.width + 1, splits=splits, name="add"
        )
        for j, word in enumerate(stored):
            with m.If(self.step & used(j)):
                m.d.sync += word.eq(totals[j + 1])
        m.d.comb += [word.eq(total) for word, total in zip(self.totals, totals, strict=True)]
        m.d.comb += [word.eq(q) for word, q in zip(self.accumulators, stored, strict=True)]
        return m
