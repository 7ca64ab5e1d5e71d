"""Stack adder: adds the sums of tiles that share the row blocks of an output."""

from collections.abc import Sequence

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.accumulator_memory import added_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component
from adq.rtl.shift_add.result_register import sums_layout

__all__ = ["StackAdder"]


class StackAdder(Component):
    """Adds the sums of a vector from the tiles of a stack, lane by lane.

    Latency: one cycle. Throughput: a vector per cycle.

    Members
    -------
    sums : array of :func:`adq.rtl.shift_add.result_register.sums_layout`, In
        Sums of each tile.
    ended : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the vector, whose sums are added while it is valid.
    totals : :func:`adq.rtl.platform.accumulator_memory.added_layout`, Out
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the totals.
    """

    sums: Sequence[Aggregate]
    ended: PlaneTag
    totals: Aggregate
    tag: PlaneTag

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "sums": In(sums_layout(p.tile)).array(p.stack),
                "ended": In(PlaneTag),
                "totals": Out(added_layout(p)),
                "tag": Out(PlaneTag),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.tag.valid.eq(self.ended.valid)
        with m.If(self.ended.valid):
            m.d.sync += self.tag.eq(self.ended)
            for lane in range(self.parameters.tile.lanes):
                total: Value = self.sums[0][str(lane)]
                for sums in self.sums[1:]:
                    total = total + sums[str(lane)]
                m.d.sync += self.totals[str(lane)].eq(total)
        return m
