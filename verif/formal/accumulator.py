"""Properties of the accumulators."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal, signed

from rtl.bit_slice import lane_value
from rtl.shift_add.accumulator import Accumulator
from verif.formal.environment import any_values, drive_inputs, previous

__all__ = ["AccumulatesPlanes"]


class AccumulatesPlanes(Elaboratable):
    """From the first plane of a vector on, each accumulator is twice what it was plus or minus the
    selected sum, in the segments that are live; and that is what the totals are before a step. In
    the other segments it stays as it was.

    Which are live is unknown, and stays within a vector.
    """

    def __init__(self, accumulator: Accumulator):
        self.accumulator = accumulator

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = acc = self.accumulator
        drive_inputs(m, acc, leave=("live",))
        most = len(acc.live)
        segments = any_values(m, range(most + 1), name="segments")
        vector_segments = Signal.like(segments)
        m.d.comb += [acc.live.eq((1 << segments) - 1), Assume(segments <= most)]
        selects = [getattr(acc, f"select_{n}") for n in acc.sources]
        m.d.comb += Assume(sum(selects) <= 1)

        known = Signal()
        with m.If(acc.step & acc.first):
            m.d.sync += [known.eq(1), vector_segments.eq(segments)]
        m.d.comb += Assume(~acc.step | acc.first | (segments == vector_segments))
        for lane in range(acc.lanes):
            term = Signal(signed(acc.width), name=f"term_{lane}")
            for n, select in zip(acc.sources, selects, strict=True):
                fused = lane_value(list(getattr(acc, f"sum_{n}")), lane)
                with m.If(select & ~acc.zero):
                    m.d.comb += term.eq(Mux(acc.negative, -fused, fused))
            expected = Signal(signed(acc.width), name=f"expected_{lane}", reset_less=True)
            total = Signal(signed(acc.width), name=f"total_{lane}")
            m.d.comb += total.eq(Mux(acc.first, 0, 2 * expected) + term)
            with m.If(acc.step):
                m.d.sync += expected.eq(total)
            held = lane_value(list(acc.accumulators), lane)
            offered = lane_value(list(acc.totals), lane)
            for segment in range(most):
                bits = slice(segment * acc.segment, (segment + 1) * acc.segment)
                with m.If(known & (segment < vector_segments)):
                    m.d.comb += Assert(held[bits] == expected[bits])
                with m.If(acc.step & (acc.first | known) & (segment < segments)):
                    m.d.comb += Assert(offered[bits] == total[bits])

        since_reset = Signal()
        m.d.sync += since_reset.eq(1)
        for segment in range(most):
            words = list(acc.accumulators)[segment * acc.segment : (segment + 1) * acc.segment]
            before = previous(m, Cat(words), name=f"before_{segment}")
            clocked = previous(m, acc.step & acc.live[segment], name=f"clocked_{segment}")
            with m.If(since_reset & ~clocked):
                m.d.comb += Assert(Cat(words) == before)
        m.d.comb += [Cover(known & (expected < -1)), Cover(known & (expected > 1))]
        return m
