"""Raw merger: one stream of raw results from those of all drains."""

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.results.raw_writer import raw_layout
from adq.rtl.port_types import Component, Stream

__all__ = ["RawMerger"]


class RawMerger(Component):
    """Passes on raw results, one a cycle: those of earlier drains come first.

    Each result has its place, so that their order does not matter. One that is offered stays until
    it is taken.

    Latency: none. Throughput: a result per cycle.

    Members
    -------
    given : array of streams of :func:`adq.rtl.platform.results.raw_writer.raw_layout`, In
    results : stream of :func:`adq.rtl.platform.results.raw_writer.raw_layout`, Out
    """

    given: Sequence[Stream]
    results: Stream

    def __init__(self, drains: int):
        super().__init__(
            {
                "given": In(stream.Signature(raw_layout())).array(drains),
                "results": Out(stream.Signature(raw_layout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        drains = range(len(self.given))
        waits = Signal()
        last = Signal(len(drains))
        first = Signal(len(drains))
        chosen = Signal(len(drains))
        earlier: Value = Const(0)
        for place in drains:
            valid = self.given[place].valid
            m.d.comb += first[place].eq(valid & ~earlier)
            earlier = earlier | valid
        m.d.comb += [
            chosen.eq(Mux(waits, last, first)),
            self.results.valid.eq(chosen.any()),
            self.results.payload.eq(
                functools.reduce(
                    operator.or_,
                    (Mux(chosen[each], self.given[each].payload.as_value(), 0) for each in drains),
                )
            ),
        ]
        m.d.comb += [
            self.given[each].ready.eq(chosen[each] & self.results.ready) for each in drains
        ]
        m.d.sync += [waits.eq(self.results.valid & ~self.results.ready), last.eq(chosen)]
        return m
