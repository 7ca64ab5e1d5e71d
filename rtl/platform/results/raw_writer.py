"""Raw writer: whole accumulators, one after another."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.results.drain_settings import PLACE_BITS
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["RawWriter", "raw_layout"]

RESULT_BITS = 64
"""Bits of a raw result."""


def raw_layout() -> data.StructLayout:
    """Return the layout of a raw result and its place in the output memory, in results."""
    return data.StructLayout({"place": PLACE_BITS, "value": signed(RESULT_BITS)})


class RawWriter(Component):
    """Gives the results of a step one by one.

    Latency: none; a step is taken with its last result. Throughput: a result per cycle.

    Members
    -------
    steps : stream, In
        Results, how many of them count, and the place of the first one.
    results : stream of :func:`raw_layout`, Out
    """

    steps: Stream
    results: Stream

    def __init__(self, lanes: int):
        self.lanes = lanes
        values = data.ArrayLayout(signed(RESULT_BITS), lanes)
        super().__init__(
            {
                "steps": In(
                    stream.Signature(
                        data.StructLayout(
                            {"values": values, "count": range(lanes + 1), "place": PLACE_BITS}
                        )
                    )
                ),
                "results": Out(stream.Signature(raw_layout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given: Aggregate = self.steps.payload
        values = given["values"].as_value()
        lane = Signal(range(self.lanes))
        last = lane + 1 == given.count
        m.d.comb += [
            self.results.valid.eq(self.steps.valid),
            self.results.payload.place.eq(given.place + lane),
            self.results.payload.value.eq(values.word_select(lane, RESULT_BITS)),
            self.steps.ready.eq(self.results.ready & last),
        ]
        with m.If(self.results.valid & self.results.ready):
            m.d.sync += lane.eq(Mux(last, 0, lane + 1))
        return m
