"""Properties of the divider."""

from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from adq.rtl.divider import Divider
from adq.verif.signoff.formal.environment import drive_inputs
from adq.verif.signoff.formal.inside import Inside

__all__ = ["Divides"]


class Divides(Elaboratable):
    """The quotient and the rest are there ``bits`` cycles behind ``start``, and stay: together with
    the divisor they give the dividend, and the rest is less than the divisor.
    """

    def __init__(self, divider: Divider):
        self.divider = divider

    def elaborate(self, platform):
        m = Module()
        dut = self.divider
        inside = Inside(dut)
        m.submodules.dut = inside.fragment
        drive_inputs(m, dut)
        widest = dut.dividend_bits

        # Environment: operands as the interface asks for them, and a divisor that stands.
        left, divisor = Signal.like(dut.bits), Signal.like(dut.divisor)
        number = Signal.like(dut.dividend)
        known = Signal()
        unused = Signal(range(widest + 1))
        m.d.comb += unused.eq(widest - dut.bits)
        with m.If(dut.start):
            m.d.comb += [
                Assume(left == 0),
                Assume((dut.bits >= 2) & (dut.bits <= widest)),
                Assume(dut.divisor != 0),
                Assume((dut.dividend >> unused << unused) == dut.dividend),
            ]
            m.d.sync += [
                left.eq(dut.bits - 1),
                divisor.eq(dut.divisor),
                # The number that the upper bits of the dividend are.
                number.eq(dut.dividend >> unused),
                known.eq(1),
            ]
        with m.Elif(left != 0):
            m.d.comb += Assume(dut.divisor == divisor)
            m.d.sync += left.eq(left - 1)

        with m.If(known & (left == 0)):
            m.d.comb += [
                Assert(dut.quotient * divisor + dut.rest == number),
                Assert(dut.rest < divisor),
            ]
        m.d.comb += Assert(dut.done == (left == 1))

        # Induction needs the state: bits that are divided so far, and those that are left.
        m.d.comb += [Assert(inside["left"] == left), Assert(left < widest)]
        bits = Signal.like(dut.bits)
        with m.If(dut.start):
            m.d.sync += bits.eq(dut.bits)
        done = Signal(range(widest + 1))
        m.d.comb += done.eq(bits - left)
        below = (Mux(known, 1, 0) << done) - 1
        rest_of_number = dut.quotient >> (widest - left).as_unsigned()
        with m.If(known):
            m.d.comb += [
                Assert((bits >= 2) & (bits <= widest) & (left < bits)),
                Assert(divisor != 0),
                Assert(dut.rest < divisor),
                Assert(number >> bits == 0),
                Assert((dut.quotient & below) * divisor + dut.rest == number >> left),
                # Between the bits to divide and those of the quotient there are zeros.
                Assert(((dut.quotient >> done) << done).as_unsigned()
                       == rest_of_number << (widest - left).as_unsigned()),
                Assert(rest_of_number == number & ((1 << left) - 1)),
            ]  # fmt: skip
        m.d.comb += [
            Cover(known & (left == 0) & (dut.quotient > 0) & (dut.rest > 0) & (bits == n))
            for n in range(2, widest + 1)
        ]
        return m
