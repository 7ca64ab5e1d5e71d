"""Four-bit counter below two levels of hierarchy: four nets with three names each."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CountedCounter"]


class Counter(wiring.Component):
    """Counts the cycles with ``enable`` high, modulo 16. Latency: one cycle."""

    enable: In(1)
    value: Out(4)

    def elaborate(self, platform):
        m = Module()
        stored = Signal(4)
        with m.If(self.enable):
            m.d.sync += stored.eq(stored + 1)
        m.d.comb += self.value.eq(stored)
        return m


class CountedCounter(wiring.Component):
    """Wraps the counter in a submodule that is named like a block of the tile."""

    enable: In(1)
    value: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.column_counter = counter = Counter()
        m.d.comb += [counter.enable.eq(self.enable), self.value.eq(counter.value)]
        return m
