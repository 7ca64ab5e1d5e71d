"""Properties of the stack adder."""

import functools
import operator

from amaranth.hdl import Assert, Cover, Elaboratable, Module, Mux, Signal

from adq.rtl.platform.grid.stack_adder import StackAdder
from adq.verif.signoff.formal.environment import any_value, drive_inputs, previous

__all__ = ["AddsStack"]


class AddsStack(Elaboratable):
    """A cycle behind a vector, each lane has the sum of its tiles' sums in the layer's bits, with
    the vector's tag. Where tiles are not stacked, no vector leaves.
    """

    def __init__(self, adder: StackAdder):
        self.adder = adder

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.adder
        lanes = list(dut.totals.shape().members)
        drive_inputs(m, dut, leave=("stacked", "accumulator_bits"))
        bits = any_value(m, dut.accumulator_bits.shape(), name="bits")
        m.d.comb += [
            dut.accumulator_bits.eq(bits),
            dut.stacked.eq(any_value(m, 1, name="stacked")),
        ]
        added = previous(m, dut.ended.valid & dut.stacked, name="added")
        tag = previous(m, dut.ended, name="tag")
        m.d.comb += Assert(dut.tag.valid == added)
        with m.If(added):
            m.d.comb += Assert(dut.tag.as_value() == tag)
        for lane in lanes:
            total = dut.totals[lane]
            whole = Signal.like(total, name=f"whole_{lane}")
            beyond = Signal(len(total), name=f"beyond_{lane}")
            m.d.comb += [
                whole.eq(functools.reduce(operator.add, (sums[lane] for sums in dut.sums))),
                beyond.eq(((1 << len(total)) - 1) << bits),
            ]
            kept = previous(m, whole, name=f"kept_{lane}")
            with m.If(added):
                m.d.comb += Assert(((total ^ kept) & ~beyond)[: len(total)] == 0)
        widest = dut.totals[lanes[0]]
        m.d.comb += [
            Cover(added & (bits == 15) & (Mux(widest < 0, -widest, widest) > 1 << 14)),
            Cover(~dut.stacked & dut.ended.valid),
        ]
        return m
