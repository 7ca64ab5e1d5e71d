"""Watchdog: notices a bus that does not move."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component

__all__ = ["Watchdog"]


class Watchdog(Component):
    """Counts cycles in which the bus is asked for something, and does not move.

    Members
    -------
    timeout : In
        Most of them; 0: as many as there are.
    waits : In
        The bus is asked for something.
    moves : In
        It moves.
    late : Out
        It has not moved for ``timeout`` cycles.
    """

    timeout: Signal
    waits: Signal
    moves: Signal
    late: Signal

    def __init__(self) -> None:
        super().__init__({"timeout": In(32), "waits": In(1), "moves": In(1), "late": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waited = Signal(32)
        m.d.comb += self.late.eq((self.timeout != 0) & (waited >= self.timeout))
        with m.If(~self.waits | self.moves):
            m.d.sync += waited.eq(0)
        with m.Elif(~self.late):
            m.d.sync += waited.eq(waited + 1)
        return m
