"""Shift-add: the datapath from column counts to results."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import result_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.port_types import Component, Stream, Words
from adq.rtl.shift_add.collector import Collector
from adq.rtl.shift_add.fuser import Fuser
from adq.rtl.shift_add.planes import add_planes

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

        planes = add_planes(m, p, fuser, counts=self.counts, tag=self.tag, advance=advance)
        for lane, total in planes.totals.items():
            m.d.comb += collector.totals[str(lane)].eq(total)

        m.d.comb += [
            collector.advance.eq(advance),
            collector.tag.eq(planes.tag),
            collector.index.eq(planes.place),
        ]
        return m
