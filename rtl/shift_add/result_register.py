"""Result register: the last sums of a vector wait here to be taken."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.interface import Status, result_layout
from rtl.parameters import TileParameters
from rtl.plane_tag import PlaneTag
from rtl.shift_add.segments import live_segments, sign_extend, sums_layout

__all__ = ["ResultRegister"]


class ResultRegister(wiring.Component):
    """Holds a result until it is taken. Of its lanes and segments, those that the job uses are
    clocked.

    Latency: one cycle. Throughput: a result a cycle.

    Members
    -------
    advance : In
        Whether the pipeline moves: a result that is taken, or none, makes room for the next.
    leaving : In
        The totals are a result; low while ``advance`` is.
    tag : :class:`rtl.plane_tag.PlaneTag`, In
        Of the last plane of its vector.
    totals : a signed number a lane, In
    results : stream of :func:`rtl.interface.result_layout`, Out
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "advance": In(1),
                "leaving": In(1),
                "tag": In(PlaneTag),
                "totals": In(sums_layout(parameters, parameters.result_width)),
                "results": Out(stream.Signature(result_layout(parameters))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        # Sums over row blocks can reach any segment.
        most = p.segments(p.accumulator_width)
        segments, held_segments = Signal(range(most + 1)), Signal(range(most + 1))
        one_block = self.tag.first_block & self.tag.last_block
        m.d.comb += segments.eq(Mux(one_block, self.tag.segments, most))
        with m.If(self.advance):
            m.d.sync += self.results.valid.eq(self.leaving)
        with m.If(self.leaving):
            m.d.sync += [
                held_segments.eq(segments),
                self.results.payload.last.eq(self.tag.last_vector | (self.tag.status != Status.OK)),
                self.results.payload.status.eq(self.tag.status),
            ]

        changing = live_segments(m, Mux(self.leaving, segments, 0), most, name="changing")
        step = {n: Signal(most, name=f"step_{n}") for n in p.weight_widths}
        for widest, steps in step.items():
            used = Cat(self.tag.weight_bits[p.weight_widths.index(n)] for n in step if n <= widest)
            m.d.comb += steps.eq(changing & used.any().replicate(most))
        live = live_segments(m, held_segments, most, name="live")
        held = Signal(self.totals.shape(), reset_less=True)
        for lane in range(p.lanes):
            total, result = self.totals[str(lane)], held[str(lane)]
            for segment in range(p.segments(len(total))):
                bits = slice(segment * p.segment, (segment + 1) * p.segment)
                with m.If(step[p.lane_weight_bits(lane)][segment]):
                    m.d.sync += result[bits].eq(total[bits])
            whole = sign_extend(m, result, live, bits=p.segment, name=f"result_{lane}")
            m.d.comb += self.results.payload.outputs[lane].eq(whole)
        return m
