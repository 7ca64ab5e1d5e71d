"""Collector: output stage that accumulates row blocks and sends results."""

from typing import cast

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import Status, result_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.port_types import Aggregate, Component, Stream
from adq.rtl.shift_add.partial_sums import PartialSumBuffer
from adq.rtl.shift_add.result_register import ResultRegister, totals_layout

__all__ = ["Collector"]


class Collector(Component):
    """Adds the vector sums of each row block to the partial sums of the previous blocks.

    The sums of the last row block are sent as results. The sums of the other blocks are written to
    the partial sum buffer.

    Latency: one cycle from a vector's last plane to its result. Throughput: one plane per cycle.

    Members
    -------
    advance : In
        The pipeline moves in this cycle. It must be low while a result waits to be taken.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the plane whose sum the totals include.
    index : In
        Bit position of that plane.
    totals : :func:`adq.rtl.shift_add.result_register.totals_layout`, In
        Totals of the accumulators.
    results : stream of :func:`adq.rtl.interface.result_layout`, Out
        One beat per vector of the last row block, and one per malformed job.
    """

    advance: Signal
    tag: PlaneTag
    index: Signal
    totals: Aggregate
    results: Stream

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "advance": In(1),
                "tag": In(PlaneTag),
                "index": In(range(parameters.max_activation_bits)),
                "totals": In(totals_layout(parameters)),
                "results": Out(stream.Signature(result_layout(parameters))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.result_register = register = ResultRegister(p)
        m.d.comb += [
            register.advance.eq(self.advance),
            register.tag.eq(self.tag),
            register.index.eq(self.index),
            register.totals.eq(self.totals),
        ]

        ends = Signal()
        m.d.comb += ends.eq(self.tag.valid & self.tag.last)
        with m.If(self.advance):
            m.d.sync += self.results.valid.eq(ends & self.tag.last_block)
        with m.If(self.advance & ends & self.tag.last_block):
            m.d.sync += [
                self.results.payload.last.eq(self.tag.last_vector | (self.tag.status != Status.OK)),
                self.results.payload.status.eq(self.tag.status),
            ]

        sums = register.sums
        if p.partial_sums:
            sums = self.add_partial_sums(m, sums, ends)
        m.d.comb += [
            output.eq(sums[str(lane)]) for lane, output in enumerate(self.results.payload.outputs)
        ]
        return m

    def add_partial_sums(self, m: Module, sums: Aggregate, ends: Value) -> Aggregate:
        """Return the sums plus the partial sums of the previous row blocks.

        The buffer is read in the cycle of a vector's last plane. The addition follows in the next
        cycle, at whose end the sum is written back unless it is a result.
        """
        p = self.parameters
        layout = data.StructLayout(
            {str(lane): signed(p.result_width(p.lane_weight_bits(lane))) for lane in range(p.lanes)}
        )
        summed = cast(Aggregate, Signal(layout, name="summed"))
        m.submodules.partial_sums = buffer = PartialSumBuffer(
            width=layout.size, depth=p.partial_sums
        )
        adds = Signal()
        writes = Signal()
        last_vector = Signal()
        with m.If(self.advance):
            m.d.sync += writes.eq(ends & ~self.tag.last_block)
            with m.If(ends):
                m.d.sync += [adds.eq(~self.tag.first_block), last_vector.eq(self.tag.last_vector)]
        m.d.comb += [
            buffer.read.eq(self.advance & ends & ~self.tag.first_block),
            buffer.read_last.eq(self.tag.last_vector),
            buffer.write.eq(writes),
            buffer.write_last.eq(last_vector),
            buffer.next_sums.eq(summed),
        ]
        earlier = cast(Aggregate, Signal(layout, name="earlier"))
        m.d.comb += earlier.eq(Mux(adds, buffer.sums, 0))
        m.d.comb += [summed[lane].eq(sums[lane] + earlier[lane]) for lane in layout.members]
        return summed
