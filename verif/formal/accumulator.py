"""Properties of the accumulators."""

from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal, signed

from rtl.bit_slice import lane_value
from rtl.shift_add.accumulator import Accumulator
from verif.formal.environment import any_value, drive_inputs

__all__ = ["AccumulatesPlanes"]


class AccumulatesPlanes(Elaboratable):
    """From the first plane of a vector on, each accumulator is twice what it was plus or minus the
    selected sum, in the segments that are live.

    Which are is unknown, and stays.
    """

    def __init__(self, accumulator: Accumulator):
        self.accumulator = accumulator

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = acc = self.accumulator
        drive_inputs(m, acc, leave=("live",))
        most = len(acc.live)
        segments = any_value(m, range(most + 1), name="segments")
        m.d.comb += [acc.live.eq((1 << segments) - 1), Assume(segments <= most)]
        selects = [getattr(acc, f"select_{n}") for n in acc.sources]
        m.d.comb += Assume(sum(selects) <= 1)

        known = Signal()
        with m.If(acc.step & acc.first):
            m.d.sync += known.eq(1)
        for lane in range(acc.lanes):
            term = Signal(signed(acc.width), name=f"term_{lane}")
            for n, select in zip(acc.sources, selects, strict=True):
                fused = lane_value(list(getattr(acc, f"sum_{n}")), lane)
                with m.If(select & ~acc.zero):
                    m.d.comb += term.eq(Mux(acc.negative, -fused, fused))
            expected = Signal(signed(acc.width), name=f"expected_{lane}", reset_less=True)
            with m.If(acc.step):
                m.d.sync += expected.eq(Mux(acc.first, 0, 2 * expected) + term)
            held = lane_value(list(acc.accumulators), lane)
            for segment in range(most):
                bits = slice(segment * acc.segment, (segment + 1) * acc.segment)
                with m.If(known & (segment < segments)):
                    m.d.comb += Assert(held[bits] == expected[bits])
        m.d.comb += [Cover(known & (expected < -1)), Cover(known & (expected > 1))]
        return m
