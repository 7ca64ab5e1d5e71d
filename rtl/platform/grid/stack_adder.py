"""Stack adder: adds the sums of tiles that share the row blocks of an output."""

import functools
import operator
from collections.abc import Mapping, Sequence

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.accumulator_memory import added_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component
from adq.rtl.shift_add.result_register import sums_layout

__all__ = ["StackAdder"]


class StackAdder(Component):
    """Adds the sums of a vector from the tiles of a stack, lane by lane.

    Sums are added in the bits that the layer needs, up to a cut of the accumulator memory: the sign
    of a narrow sum does not switch the bits above. Where tiles are not stacked, nothing switches.

    Latency: one cycle. Throughput: a vector per cycle.

    Members
    -------
    stacked : In
        Tiles are stacked in this layer. It changes only while no vector is on its way, and so do
        the layer's bits.
    accumulator_bits : In
        Bits of the layer's sums: totals are taken modulo 2 to their power.
    sums : array of :func:`adq.rtl.shift_add.result_register.sums_layout`, In
        Sums of each tile.
    ended : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the vector, whose sums are added while it is valid.
    totals : :func:`adq.rtl.platform.accumulator_memory.added_layout`, Out
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the totals.
    """

    stacked: Signal
    accumulator_bits: Signal
    sums: Sequence[Aggregate]
    ended: PlaneTag
    totals: Aggregate
    tag: PlaneTag

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "stacked": In(1),
                "accumulator_bits": In(7),
                "sums": In(sums_layout(p.tile)).array(p.stack),
                "ended": In(PlaneTag),
                "totals": Out(added_layout(p)),
                "tag": Out(PlaneTag),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        uses = {}  # by lowest bit: the layer's sums have bits from there on
        for low in (0, *self.parameters.accumulator_cuts):
            uses[low] = Signal(name=f"uses_{low}")
            m.d.comb += uses[low].eq(self.stacked & (self.accumulator_bits > low))
        m.d.sync += self.tag.valid.eq(self.ended.valid & self.stacked)
        with m.If(self.ended.valid & self.stacked):
            m.d.sync += self.tag.eq(self.ended)
        for lane in range(self.parameters.tile.lanes):
            total = Signal.like(self.totals[str(lane)], name=f"total_{lane}")
            used = [self._used(m, sums[str(lane)], uses, f"{lane}") for sums in self.sums]
            m.d.comb += total.eq(functools.reduce(operator.add, used))
            for low, high in self.parameters.sum_pieces(len(total)):
                with m.If(self.ended.valid & uses[low]):
                    m.d.sync += self.totals[str(lane)][low:high].eq(total[low:high])
        return m

    def _used(self, m: Module, number: Value, uses: Mapping[int, Value], name: str) -> Value:
        """Return a sum whose pieces beyond the layer's bits are 0."""
        used = Signal.like(number, name=f"used_{name}")
        for low, high in self.parameters.sum_pieces(len(number)):
            m.d.comb += used[low:high].eq(Mux(uses[low], number[low:high], 0))
        return used
