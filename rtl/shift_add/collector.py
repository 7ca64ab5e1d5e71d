"""Collector: row blocks accumulate, and sums become results."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.interface import result_layout
from rtl.parameters import TileParameters
from rtl.plane_tag import PlaneTag
from rtl.shift_add.partial_sums import PartialSumBuffer
from rtl.shift_add.result_register import ResultRegister
from rtl.shift_add.segments import live_segments, sign_extend, sums_layout

__all__ = ["Collector"]


class Collector(wiring.Component):
    """Adds the vector sums of a row block to those of the blocks before it. The sums of the last
    block become a result; those of the others go to the partial sum buffer.

    Latency: one cycle. Throughput: a vector a cycle.

    Members
    -------
    advance : In
        Whether the pipeline moves.
    entering : :class:`rtl.plane_tag.PlaneTag`, In
        Of the plane that enters the accumulators: where it is the last of its vector, its partial
        sums are needed in the next cycle. Without a partial sum buffer it is not looked at.
    tag : :class:`rtl.plane_tag.PlaneTag`, In
        Of the plane that the sums end with.
    sums : a signed number a lane, In
        Of the planes of a vector so far.
    results : stream of :func:`rtl.interface.result_layout`, Out
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "advance": In(1),
                "entering": In(PlaneTag),
                "tag": In(PlaneTag),
                "sums": In(sums_layout(parameters, parameters.vector_width)),
                "results": Out(stream.Signature(result_layout(parameters))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        done, leaving = Signal(), Signal()
        m.d.comb += [
            done.eq(self.advance & self.tag.valid & self.tag.last),
            leaving.eq(done & self.tag.last_block),
        ]
        totals = Signal(sums_layout(p, p.result_width))
        if p.partial_sums:
            buffer = PartialSumBuffer(width=totals.shape().size, depth=p.partial_sums)
            m.submodules.partial_sums = buffer
            read = self.advance & self.entering.valid & self.entering.last
            m.d.comb += [
                buffer.read.eq(read & ~self.entering.first_block),
                buffer.read_last.eq(self.entering.last_vector),
                buffer.write.eq(done & ~self.tag.last_block),
                buffer.write_last.eq(self.tag.last_vector),
                buffer.next_sums.eq(totals),
            ]
            # The adders see the sum of a vector, not those of the planes that lead to it.
            sums, earlier = Signal(self.sums.shape()), Signal(totals.shape())
            with m.If(self.tag.valid & self.tag.last):
                m.d.comb += sums.eq(self.sums)
                with m.If(~self.tag.first_block):
                    m.d.comb += earlier.eq(buffer.sums)
            most = p.segments(p.vector_width(p.group_columns))
            live = live_segments(m, self.tag.segments, most, name="live")
            for lane in totals.shape().members:
                whole = sign_extend(m, sums[lane], live, bits=p.segment, name=f"sum_{lane}")
                m.d.comb += totals[lane].eq(whole + earlier[lane])
        else:
            m.d.comb += [totals[lane].eq(self.sums[lane]) for lane in totals.shape().members]

        m.submodules.result_register = register = ResultRegister(p)
        wiring.connect(m, wiring.flipped(self.results), register.results)
        m.d.comb += [
            register.advance.eq(self.advance),
            register.leaving.eq(leaving),
            register.tag.eq(self.tag),
            register.totals.eq(totals),
        ]
        return m
