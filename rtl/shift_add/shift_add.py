"""Shift-add: the datapath from column counts to results."""

import functools
import operator
from typing import cast

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.interface import Status, result_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag, follow, is_one_of
from adq.rtl.port_types import Component, Stream, Words
from adq.rtl.shift_add.accumulator import Accumulator
from adq.rtl.shift_add.collector import Collector
from adq.rtl.shift_add.fuser import Fuser

__all__ = ["ShiftAdd"]


class ShiftAdd(Component):
    """Fuses columns, accumulates planes and row blocks, and sends results::

        counts -> fuser -> accumulators -> collector -> results
                                             |    ^
                                             v    |
                                        partial sum buffer

    Latency: from the counts of a vector's last plane to its result, 1 cycle for 2-bit and 4-bit
    weights, 2 cycles for 8 and 16 bits.
    Throughput: one plane per cycle, hence one result per cycle with 1-bit activations. At least one
    cycle without a plane must separate a job from a job with wider weights before it.

    Members
    -------
    counts : array of ``count_width`` words of ``columns`` bits, In
        Column counts, as a bit slice in the column order ``sliced_columns``.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the counted plane.
    results : stream of :func:`adq.rtl.interface.result_layout`, Out
        One beat per vector, after its last row block.
    advance : Out
        The pipeline moves in this cycle. Low while a result waits to be taken.
    """

    counts: Words
    tag: PlaneTag
    results: Stream
    advance: Signal

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

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()

        m.submodules.fuser = fuser = Fuser(p)
        m.submodules.collector = collector = Collector(p)
        advance = self.advance
        m.d.comb += advance.eq(~self.results.valid | self.results.ready)
        wiring.connect(m, wiring.flipped(self.results), collector.results)

        # Sums of narrow weights enter the accumulators one stage earlier than sums of wide weights.
        # The bubble between jobs prevents a collision of the two. No bubble precedes the tag of a
        # malformed job, so that tag takes the longer path.
        direct = is_one_of(self.tag.weight_bits, p.direct_widths)
        waits = Signal()
        m.d.comb += waits.eq(~direct | (self.tag.status != Status.OK))
        waiting = follow(m, self.tag, advance, valid=self.tag.valid & waits, name="waiting_tag")
        entering = cast(PlaneTag, Signal(PlaneTag, name="entering_tag"))
        m.d.comb += entering.eq(Mux(waiting.valid, waiting, self.tag))
        m.d.comb += entering.valid.eq(waiting.valid | (self.tag.valid & ~waits))

        m.d.comb += [
            fuser.counts.eq(self.counts),
            fuser.weight_bits.eq(self.tag.weight_bits),
            fuser.step.eq(advance & self.tag.valid & waits & ~self.tag.zero),
        ]

        # Planes are counted again here, because the tag does not carry the plane index.
        counted = Signal(range(p.max_activation_bits))
        index = Signal.like(counted)
        m.d.comb += index.eq(Mux(entering.first, 0, counted))
        with m.If(advance & entering.valid & ~entering.last):
            m.d.sync += counted.eq(index + 1)

        # Narrow weights have their own accumulators, so that their late-arriving sums pass only a
        # short adder. For 8 and 16 bits, the lower half of the lanes serves both widths. Lanes that
        # serve the same widths share an accumulator.
        choices: dict[int, list[Value]] = {lane: [] for lane in range(p.lanes)}
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
            # Before the last plane only the lowest bit of each total is passed on, so that the
            # inputs of the result register do not toggle. With 2-bit weights this masking would
            # cost more than it saves, since planes are few and lanes are many.
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

    def accumulator(
        self, m: Module, fuser: Fuser, tag: PlaneTag, precisions: list[int], lanes: slice
    ) -> Accumulator:
        """Return an accumulator for ``lanes``, connected to the fused sums of ``precisions``."""
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
        # The last total goes to the result register, so the accumulator need not store it.
        m.d.comb += [
            accumulator.step.eq(self.advance & tag.valid & Cat(selects).any() & ~tag.last),
            accumulator.zero.eq(tag.zero),
            accumulator.first.eq(tag.first),
            accumulator.negative.eq(tag.negative),
        ]
        return accumulator
