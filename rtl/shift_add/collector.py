"""Collector: row blocks accumulate, and sums become results."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.interface import Status, result_layout
from rtl.parameters import TileParameters
from rtl.plane_tag import PlaneTag
from rtl.shift_add.partial_sums import PartialSumBuffer
from rtl.shift_add.segments import live_segments, sign_extend

__all__ = ["Collector", "sums_layout"]


def sums_layout(parameters: TileParameters, width) -> data.StructLayout:
    """A signed number a lane, of ``width(weight_bits)`` bits for the widest weights that use the
    lane.
    """
    return data.StructLayout(
        {
            str(lane): signed(width(parameters.lane_weight_bits(lane)))
            for lane in range(parameters.lanes)
        }
    )


class Collector(wiring.Component):
    """Adds the vector sums of a row block to those of the blocks before it. The sums of the last
    block become a result; those of the others go to the partial sum buffer. Of a result, the lanes
    and segments that its job uses are clocked.

    Latency: one cycle. Throughput: a vector a cycle.

    Members
    -------
    advance : In
        Whether the pipeline moves.
    entering : :class:`rtl.plane_tag.PlaneTag`, In
        Of the plane that enters the accumulators: where it is the last of its vector, its partial
        sums are needed in the next cycle.
    tag : :class:`rtl.plane_tag.PlaneTag`, In
        Of the plane that entered them last.
    sums : a signed number a lane, In
        The accumulators.
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

        # Row blocks can reach any segment.
        most = p.segments(p.accumulator_width)
        segments, held_segments = Signal(range(most + 1)), Signal(range(most + 1))
        one_block = self.tag.first_block & self.tag.last_block
        m.d.comb += segments.eq(Mux(one_block, self.tag.segments, most))
        with m.If(self.advance):
            m.d.sync += self.results.valid.eq(leaving)
        with m.If(leaving):
            m.d.sync += [
                held_segments.eq(segments),
                self.results.payload.last.eq(self.tag.last_vector | (self.tag.status != Status.OK)),
                self.results.payload.status.eq(self.tag.status),
            ]
        changing = live_segments(m, Mux(leaving, segments, 0), most, name="changing")
        live = live_segments(m, held_segments, most, name="live_result")
        held = Signal(totals.shape(), reset_less=True)
        for lane in range(p.lanes):
            total, result = totals[str(lane)], held[str(lane)]
            used = Cat(
                self.tag.weight_bits[level]
                for level, n in enumerate(p.weight_widths)
                if n <= p.lane_weight_bits(lane)
            ).any()
            for segment in range(p.segments(len(total))):
                bits = slice(segment * p.segment, (segment + 1) * p.segment)
                with m.If(used & changing[segment]):
                    m.d.sync += result[bits].eq(total[bits])
            whole = sign_extend(m, result, live, bits=p.segment, name=f"result_{lane}")
            m.d.comb += self.results.payload.outputs[lane].eq(whole)
        return m
