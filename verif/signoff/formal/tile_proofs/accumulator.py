"""Properties of the accumulators."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, Signal, signed

from adq.rtl.bit_slice import lane_value
from adq.rtl.shift_add.accumulator import Accumulator
from adq.verif.signoff.formal.environment import drive_inputs, previous

__all__ = ["AccumulatesPlanes"]

PLANES = 16


class AccumulatesPlanes(Elaboratable):
    """From the first plane of a vector on, each total equals the accumulator's value plus or minus
    the selected sum, and the accumulator's next value is half of the total, rounded down. The
    total, joined with the lowest bits of the totals before it, is the sum of the vector so far,
    each plane weighted by its bit.

    That is so in the words that the vector's precision uses; the others stay as they were.
    """

    def __init__(self, accumulator: Accumulator):
        self.accumulator = accumulator

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = acc = self.accumulator
        drive_inputs(m, acc)
        selects = {n: getattr(acc, f"select_{n}") for n in acc.widths}
        select = Cat(selects.values())
        m.d.comb += Assume(sum(selects.values()) <= 1)

        known, precision = Signal(), Signal(len(select))
        planes = Signal(range(PLANES + 1))  # of the vector, whose lowest bits left
        with m.If(acc.step & select.any()):
            with m.If(acc.first):
                m.d.sync += [known.eq(1), precision.eq(select), planes.eq(1)]
            with m.Elif(planes < PLANES):
                m.d.sync += planes.eq(planes + 1)
            m.d.comb += Assume(acc.first | (select == precision))
        follows = known & (select == precision)

        expected = [
            Signal(signed(acc.width), name=f"expected_{lane}", reset_less=True)
            for lane in range(acc.lanes)
        ]
        # Of the first lane: its vector so far, by bit weight, and the bits that left.
        whole = Signal(signed(acc.width + PLANES), reset_less=True)
        left = Signal(PLANES, reset_less=True)
        with m.If(known & (planes < PLANES)):
            m.d.comb += [
                Assert((expected[0] << planes) + left == whole),
                Assert(left >> planes == 0),
            ]
        for n, width in acc.widths.items():
            for lane, held in enumerate(expected):
                fused = lane_value(list(getattr(acc, f"sum_{n}")), lane)
                term = Signal(signed(width + 1), name=f"term_{n}_{lane}")
                total = Signal(signed(width + 1), name=f"total_{n}_{lane}")
                m.d.comb += [
                    term.eq(Mux(acc.zero, 0, Mux(acc.negative, -fused, fused))),
                    total.eq(Mux(acc.first, 0, held) + term),
                ]
                with m.If(acc.step & selects[n]):
                    m.d.sync += held.eq(total >> 1)
                    if lane == 0:
                        m.d.sync += [
                            whole.eq(Mux(acc.first, term, whole + (term << planes))),
                            left.eq(Mux(acc.first, total[0], left | (total[0] << planes))),
                        ]
                with m.If(selects[n] & (acc.first | follows)):
                    offered = lane_value(list(acc.totals)[: width + 1], lane)
                    m.d.comb += Assert(offered == total)
                with m.If(known & (precision == 1 << list(selects).index(n))):
                    stored = lane_value(list(acc.accumulators)[:width], lane)
                    m.d.comb += Assert(stored == held)

        since_reset = Signal()
        m.d.sync += since_reset.eq(1)
        for word, stored in enumerate(acc.accumulators):
            uses = Cat(selects[n] for n, width in acc.widths.items() if width > word).any()
            before = previous(m, stored, name=f"before_{word}")
            clocked = previous(m, acc.step & uses, name=f"clocked_{word}")
            with m.If(since_reset & ~clocked):
                m.d.comb += Assert(stored == before)
        m.d.comb += [Cover(known & (expected[0] < -1)), Cover(known & (expected[0] > 0))]
        return m
