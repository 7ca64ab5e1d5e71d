"""Shift-add: from column counts to results."""

import functools
import operator

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.interface import Status, result_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag, follow, is_one_of
from adq.rtl.shift_add.accumulator import Accumulator
from adq.rtl.shift_add.collector import Collector
from adq.rtl.shift_add.fuser import Fuser

__all__ = ["ShiftAdd"]


class ShiftAdd(wiring.Component):
    """Fuses the columns of a weight, accumulates planes and row blocks, and gives results::

        counts -> fuser -> accumulators -> collector -> results
                                             |    ^
                                             v    |
                                        partial sum buffer

    Latency: from the cycle in which counts and their tag stand at the input to the one in which
    the result is valid, 1 cycle at 2 and 4 bits and 2 at 8 and 16. Throughput: a plane a cycle, so
    at one-bit activations a result a cycle. A job must not follow one of wider weights without a
    cycle in between.

    Members
    -------
    counts : array of ``count_width`` words of ``columns`` bits, In
        Bit slice of the counts, columns in the order of ``sliced_columns``.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Of the plane counted.
    results : stream of :func:`adq.rtl.interface.result_layout`, Out
    advance : Out
        Whether the pipeline moves: low while a result waits to be taken.
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "counts": In(data.ArrayLayout(parameters.columns, parameters.count_width)),
                "tag": In(PlaneTag),
                "results": Out(stream.Signature(result_layout(parameters))),
                "advance": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        m.submodules.fuser = fuser = Fuser(p)
        m.submodules.collector = collector = Collector(p)
        advance = self.advance
        m.d.comb += advance.eq(~self.results.valid | self.results.ready)
        wiring.connect(m, wiring.flipped(self.results), collector.results)

        # Sums of narrow weights enter the accumulators a stage earlier than wide ones. The empty
        # stage between jobs keeps the two from meeting. There is none before the tag of a malformed
        # job, which therefore takes the longer way.
        direct = is_one_of(self.tag.weight_bits, p.direct_widths)
        waits = Signal()
        m.d.comb += waits.eq(~direct | (self.tag.status != Status.OK))
        waiting = follow(m, self.tag, advance, valid=self.tag.valid & waits, name="waiting_tag")
        entering = Signal(PlaneTag, name="entering_tag")
        m.d.comb += entering.eq(Mux(waiting.valid, waiting, self.tag))
        m.d.comb += entering.valid.eq(waiting.valid | (self.tag.valid & ~waits))

        m.d.comb += [
            fuser.counts.eq(self.counts),
            fuser.weight_bits.eq(self.tag.weight_bits),
            fuser.step.eq(advance & self.tag.valid & waits & ~self.tag.zero),
        ]

        # Planes are counted here again: their number goes no further than to the results.
        counted = Signal(range(p.max_activation_bits))
        index = Signal.like(counted)
        m.d.comb += index.eq(Mux(entering.first, 0, counted))
        with m.If(advance & entering.valid & ~entering.last):
            m.d.sync += counted.eq(index + 1)

        # Narrow weights have accumulators of their own, so that their sums, which come last, meet a
        # short adder only. Of the others, the lower half of the lanes serves both: lanes that serve
        # the same precisions share an accumulator.
        choices = {lane: [] for lane in range(p.lanes)}
        first = 0
        for widest in reversed(p.weight_widths):
            precisions = p.accumulator_weight_bits(widest)
            if widest in p.direct_widths:
                first = 0
            lanes = slice(first, p.outputs(widest))
            first = lanes.stop
            tag = self.tag if widest in p.direct_widths else waiting
            accumulator = self.accumulator(m, fuser, tag, precisions, lanes)
            used = tag.valid & is_one_of(tag.weight_bits, precisions)
            # Until the last plane the inputs of the result register hold still but for the lowest
            # bit. At 2 bits that would cost more than it saves: planes are few, and lanes many.
            whole = used if widest == p.weight_widths[0] else used & tag.last
            for lane, natural_lane in enumerate(p.sliced_lanes[lanes]):
                total = Cat(word[lane] for word in accumulator.totals)
                choices[natural_lane].append(total & Cat(used, whole.replicate(len(total) - 1)))
        for lane, totals in choices.items():
            m.d.comb += collector.totals[str(lane)].eq(functools.reduce(operator.or_, totals))

        m.d.comb += [
            collector.advance.eq(advance),
            collector.tag.eq(entering),
            collector.index.eq(index),
        ]
        return m

    def accumulator(self, m, fuser, tag, precisions: list[int], lanes: slice) -> Accumulator:
        """Accumulator of the lanes that serve some precisions."""
        p = self.parameters
        widest = max(precisions)
        m.submodules[f"accumulator_{widest}"] = accumulator = Accumulator(
            lanes=lanes.stop - lanes.start,
            widths={n: p.plane_width(n) for n in precisions},
        )
        selects = []
        for n in precisions:
            fused = bit_slice.lanes_of(list(getattr(fuser, f"fused_{n}")), lanes)
            words = getattr(accumulator, f"sum_{n}")
            selects.append(getattr(accumulator, f"select_{n}"))
            m.d.comb += [word.eq(q) for word, q in zip(words, fused, strict=True)]
            m.d.comb += selects[-1].eq(tag.weight_bits[p.weight_widths.index(n)])
        # The last total goes to the result, and no further plane needs it.
        m.d.comb += [
            accumulator.step.eq(self.advance & tag.valid & Cat(selects).any() & ~tag.last),
            accumulator.zero.eq(tag.zero),
            accumulator.first.eq(tag.first),
            accumulator.negative.eq(tag.negative),
        ]
        return accumulator
