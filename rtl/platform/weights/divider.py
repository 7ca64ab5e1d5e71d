"""Divider: a bit of the quotient a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component

__all__ = ["Divider"]


class Divider(Component):
    """Divides unsigned numbers, a bit of the dividend a cycle.

    Latency: ``bits`` cycles from ``start``.

    Members
    -------
    start : In
        Begin with these operands. Nothing may be under way.
    bits : In
        Bits of the dividend, at least 1.
    dividend : In
        Its bits are the upper ones; those below are 0.
    divisor : In
        Not 0. It stands until the quotient is there.
    done : Out
        The quotient and the rest are there in the next cycle, and stay.
    quotient, rest : Out
    """

    start: Signal
    bits: Signal
    dividend: Signal
    divisor: Signal
    done: Signal
    quotient: Signal
    rest: Signal

    def __init__(self, dividend_bits: int, divisor_bits: int):
        self.dividend_bits = dividend_bits
        self.divisor_bits = divisor_bits
        super().__init__(
            {
                "start": In(1),
                "bits": In(range(dividend_bits + 1)),
                "dividend": In(dividend_bits),
                "divisor": In(divisor_bits),
                "done": Out(1),
                "quotient": Out(dividend_bits),
                "rest": Out(divisor_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal.like(self.bits)
        # The dividend leaves the register at its top, and the quotient enters it below.
        more = Signal(self.divisor_bits + 1)
        fits = Signal()
        m.d.comb += [
            more.eq((self.rest << 1) | self.quotient[-1]),
            fits.eq(more >= self.divisor),
            self.done.eq(left == 1),
        ]
        with m.If(self.start):
            m.d.sync += [left.eq(self.bits), self.quotient.eq(self.dividend), self.rest.eq(0)]
        with m.Elif(left != 0):
            m.d.sync += [
                left.eq(left - 1),
                self.quotient.eq((self.quotient << 1) | fits),
                self.rest.eq(Mux(fits, more - self.divisor, more)),
            ]
        return m
