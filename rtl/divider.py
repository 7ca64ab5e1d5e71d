"""Divider: a bit of the quotient a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component

__all__ = ["Divider"]


class Divider(Component):
    """Divides unsigned numbers, a bit of the dividend a cycle, beginning with ``start``.

    Latency: the quotient is there ``bits`` cycles behind ``start``, and stays.

    Members
    -------
    start : In
        Begin with these operands. Nothing may be under way.
    bits : In
        Bits of the dividend, at least 2.
    dividend : In
        Its bits are the upper ones; those below are 0.
    divisor : In
        Not 0. It stands until ``done``.
    done : Out
        The last cycle before the quotient and the rest are there.
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
        digits = Signal.like(self.quotient)
        rest = Signal.like(self.rest)
        more = Signal(self.divisor_bits + 1)
        fits = Signal()
        m.d.comb += [
            digits.eq(Mux(self.start, self.dividend, self.quotient)),
            rest.eq(Mux(self.start, 0, self.rest)),
            more.eq((rest << 1) | digits[-1]),
            fits.eq(more >= self.divisor),
            self.done.eq(left == 1),
        ]
        with m.If(self.start | (left != 0)):
            m.d.sync += [
                left.eq(Mux(self.start, self.bits, left) - 1),
                self.quotient.eq((digits << 1) | fits),
                self.rest.eq(Mux(fits, more - self.divisor, more)),
            ]
        return m
