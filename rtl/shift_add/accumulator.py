"""Accumulation over the bit planes of an activation vector."""

import operator
from functools import reduce

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.bit_slice import spread

__all__ = ["Accumulator"]

LONGEST_RIPPLE = 16
"""Words that a carry may pass in a cycle, one after the other."""


class Accumulator(wiring.Component):
    """``total = acc + sum`` and ``acc = total >> 1``, lane by lane, for planes that come least
    significant first.

    The next plane weighs twice as much as the one before, so that the lowest bit of a total is
    final: it leaves, and the adder is no wider than the sum of a plane, however many planes there
    are. The sum comes from one of several sources, one a precision; words that its precision does
    not use are not clocked, and what they hold means nothing.

    Latency: none to the totals, a cycle to the accumulators. Throughput: a plane a cycle.

    Parameters
    ----------
    lanes : int
        Accumulators side by side.
    widths : dict of int to int
        Width of the sum of a plane, and of the accumulator, at each precision (weight bits) that
        uses these lanes.

    Members
    -------
    sum_<n> : array of ``widths[n]`` words of ``lanes`` bits, In
        Bit slice of the signed sums at ``n``-bit weights.
    select_<n> : In
        Whether the sums at ``n``-bit weights are meant; at most one of them.
    step, zero, first, negative : In
        Hold the total, without its lowest bit; the plane has no bit set; it starts a vector; it
        counts negatively.
    totals : array of ``max(widths) + 1`` words of ``lanes`` bits, Out
        What the accumulators held and the sum of the plane; at ``n`` bits the lowest
        ``widths[n] + 1`` words are meant.
    accumulators : array of ``max(widths)`` words of ``lanes`` bits, Out
    """

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

    def elaborate(self, platform):
        m = Module()
        lanes, widths = self.lanes, self.widths
        select = {n: getattr(self, f"select_{n}") for n in widths}

        def used(word):
            """Whether the precision that is meant has a word."""
            return Cat(select[n] for n in select if widths[n] > word).any()

        adds = {n: Signal(name=f"adds_{n}") for n in select}
        negative = Signal(lanes, name="negative_lanes")
        m.d.comb += [adds[n].eq(select[n] & ~self.zero) for n in select]
        m.d.comb += negative.eq(spread(self.negative & ~self.zero, lanes))
        stored = [Signal(lanes, name=f"acc_{j}", reset_less=True) for j in range(self.width)]
        # Words that are not used stay where they are, and out of the sum.
        keeps = {}
        for j in (0, *sorted(widths.values())[:-1]):
            keeps[j] = Signal(lanes, name=f"keep_{j}")
            m.d.comb += keeps[j].eq(spread(~self.first & used(j), lanes))

        kept, terms = [], []
        for j in range(self.width + 1):
            # Both operands have their sign once more, above the highest word of a precision.
            ends = [n for n in select if widths[n] == j]
            held = stored[j - 1] if ends else stored[j]
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
        splits = [3 * self.width // 4] if self.width > LONGEST_RIPPLE else []
        *totals, _ = bit_slice.add_select(
            m, kept, terms, negative, width=self.width + 1, splits=splits, name="add"
        )
        for j, word in enumerate(stored):
            with m.If(self.step & used(j)):
                m.d.sync += word.eq(totals[j + 1])
        m.d.comb += [word.eq(total) for word, total in zip(self.totals, totals, strict=True)]
        m.d.comb += [word.eq(q) for word, q in zip(self.accumulators, stored, strict=True)]
        return m
