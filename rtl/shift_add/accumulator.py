"""Accumulation over the bit planes of an activation vector."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl import bit_slice
from rtl.bit_slice import spread
from rtl.shift_add.low_runs import LowRuns

__all__ = ["Accumulator"]

LONGEST_RIPPLE = 16
"""Words that a carry may pass in a cycle, one after the other."""


class Accumulator(wiring.Component):
    """``acc = 2*acc + sum``, lane by lane, for planes that come most significant first.

    Because the next plane always weighs half of the one before, the shift is by one: no barrel
    shifter. The sum comes from one of several sources, one a precision. Segments that the sum of a
    vector cannot reach are not clocked; what they hold means nothing.

    Latency: one cycle. Throughput: a plane a cycle.

    Parameters
    ----------
    lanes : int
        Accumulators side by side.
    sources : dict of int to int
        Width of the sum at each precision (weight bits) that uses these lanes.
    width : int
        Width of the accumulator.
    segment : int
        Words that are clocked together.

    Members
    -------
    sum_<n> : array of ``sources[n]`` words of ``lanes`` bits, In
        Bit slice of the signed sums at ``n``-bit weights.
    select_<n> : In
        Whether the sums at ``n``-bit weights are meant; at most one of them.
    step, zero, first, negative : In
        Add a plane; it has no bit set; it starts a vector; it counts negatively.
    live : a bit a segment, In
        Whether it is clocked.
    totals : array of ``width`` words of ``lanes`` bits, Out
        What a step would make of the accumulators.
    accumulators : array of ``width`` words of ``lanes`` bits, Out
    """

    def __init__(self, *, lanes: int, sources: dict[int, int], width: int, segment: int):
        self.lanes = lanes
        self.sources = sources
        self.width = width
        self.segment = segment
        super().__init__(
            {
                **{
                    f"sum_{n}": In(data.ArrayLayout(lanes, sum_width))
                    for n, sum_width in sources.items()
                },
                **{f"select_{n}": In(1) for n in sources},
                "step": In(1),
                "zero": In(1),
                "first": In(1),
                "negative": In(1),
                "live": In(-(-width // segment)),
                "totals": Out(data.ArrayLayout(lanes, width)),
                "accumulators": Out(data.ArrayLayout(lanes, width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.lanes

        selected = {n: Signal(name=f"selected_{n}") for n in self.sources}
        negative = Signal(lanes, name="negative_lanes")
        live, keep = (
            [Signal(lanes, name=f"{name}_lanes_{i}") for i in range(len(self.live))]
            for name in ("live", "keep")
        )
        m.d.comb += [
            *(selected[n].eq(getattr(self, f"select_{n}") & ~self.zero) for n in self.sources),
            negative.eq(spread(self.negative & ~self.zero, lanes)),
        ]
        for segment, bit in enumerate(self.live):
            # What segments hold that are not live is not doubled into those that are.
            m.d.comb += [
                live[segment].eq(spread(bit, lanes)),
                keep[segment].eq(spread(~self.first & bit, lanes)),
            ]
        width = max(self.sources.values())
        terms = []
        for j in range(width):
            term = Signal(lanes, name=f"term_{j}")
            word = 0
            for n in self.sources:
                source = bit_slice.resize(list(getattr(self, f"sum_{n}")), width)
                word |= source[j] & spread(selected[n], lanes)
            m.d.comb += term.eq(word ^ negative)
            terms.append(term)

        stored = [Signal(lanes, name=f"acc_{j}", reset_less=True) for j in range(self.width)]
        doubled = [None]
        for j, word in enumerate(stored[:-1], 1):
            term = Signal(lanes, name=f"doubled_{j}")
            m.d.comb += term.eq(word & keep[j // self.segment])
            doubled.append(term)
        # The word above the highest is the carry.
        splits = [width // 2, 3 * width // 4] if width > LONGEST_RIPPLE else []
        *total, carry = bit_slice.add_select(
            m, doubled[:width], terms, negative, width=width, splits=splits, name="add"
        )
        total += self._add_sign(m, doubled[width:], terms[-1], carry, live)
        for j, (q, word) in enumerate(zip(stored, total, strict=True)):
            with m.If(self.step & self.live[j // self.segment]):
                m.d.sync += q.eq(word)
        m.d.comb += [word.eq(q) for word, q in zip(self.accumulators, stored, strict=True)]
        m.d.comb += [word.eq(q) for word, q in zip(self.totals, total, strict=True)]
        return m

    def _add_sign(self, m, words: list, sign, carry, live: list) -> list:
        """``words + carry - sign``, above the highest word of a sum, of which only the sign is
        there. Words that are not live are 0, and stay so.

        Where carry and sign differ, the words go up by one through all their low ones, or down by
        one through all their low zeros. Which words would change is known before the carry, which
        passes all of them at once; and where it equals the sign, which is almost always, none
        toggles.
        """
        lanes, first = self.lanes, self.width - len(words)
        up, down = Signal(lanes, name="up"), Signal(lanes, name="down")
        m.d.comb += [up.eq(carry & ~sign), down.eq(sign & ~carry)]
        m.submodules.low_runs = runs = LowRuns(lanes=lanes, width=len(words))
        total = []
        for j, word in enumerate(words):
            m.d.comb += [
                runs.words[j].eq(word),
                runs.live[j].eq(live[(first + j) // self.segment]),
            ]
            changes = up | down
            if j:
                changes = (up & runs.ones[j - 1]) | (down & runs.zeros[j - 1])
            result = Signal(lanes, name=f"extend_{j}_sum")
            m.d.comb += result.eq(word ^ changes)
            total.append(result)
        return total
