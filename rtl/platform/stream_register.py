"""Stream register: a stream whose valid and ready are both registered."""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component, Stream

__all__ = ["StreamRegister"]


class StreamRegister(Component):
    """Passes on beats through a register, so that no path goes through it either way.

    It has room for a second beat, since its ready tells of the cycle before.

    Latency: 1 cycle. Throughput: a beat per cycle.

    Members
    -------
    given : stream, In
    taken : stream, Out
    """

    given: Stream
    taken: Stream

    def __init__(self, shape: ShapeLike):
        self.shape = shape
        super().__init__(
            {"given": In(stream.Signature(shape)), "taken": Out(stream.Signature(shape))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = Shape.cast(self.shape).width
        given, taken = Value.cast(self.given.payload), Value.cast(self.taken.payload)
        second = Signal(bits, reset_less=True)
        waits = Signal()
        moves = ~self.taken.valid | self.taken.ready
        m.d.comb += self.given.ready.eq(~waits)
        with m.If(moves):
            m.d.sync += [self.taken.valid.eq(waits | self.given.valid), waits.eq(0)]
            with m.If(waits | self.given.valid):
                m.d.sync += taken.eq(Mux(waits, second, given))
        with m.Elif(self.given.valid & ~waits):
            m.d.sync += [second.eq(given), waits.eq(1)]
        return m
