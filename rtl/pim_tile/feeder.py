"""Bit-plane feeder: serializes activation words into bit planes."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import activation_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component, Stream

__all__ = ["BitPlaneFeeder"]


class BitPlaneFeeder(Component):
    """Holds one activation vector and outputs its bit planes, least significant first.

    Leading all-zero planes are skipped: the last plane of a vector is the highest one with a bit
    set. A vector of zeros has one plane. A vector arrives in one beat. It can be accepted in the
    cycle that takes the last plane of the previous vector, so there is no gap between vectors.

    Latency: the first plane of a vector accepted in cycle ``t`` is offered in cycle ``t + 1``.
    Throughput: one plane per cycle.

    Members
    -------
    activations : stream of :func:`adq.rtl.interface.activation_layout`, In
    activation_bits : In
        Activation width. The registers of higher planes are not clocked.
    fetch : In
        A vector may be accepted in this cycle.
    take : In
        The offered plane is taken in this cycle.
    loaded : Out
        A plane is offered. The outputs below describe it.
    plane : ``rows`` bits, Out
        The offered plane, one bit per row.
    zero : Out
        The plane has no bit set.
    first, last : Out
        The plane is the first, or the last, of its vector.
    index : Out
        Bit position of the plane: it has weight ``2**index``.
    skipped : Out
        Number of leading planes of the vector that are skipped.
    """

    activations: Stream
    activation_bits: Signal
    fetch: Signal
    take: Signal
    loaded: Signal
    plane: Signal
    zero: Signal
    first: Signal
    last: Signal
    index: Signal
    skipped: Signal

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        bits = parameters.max_activation_bits
        super().__init__(
            {
                "activations": In(stream.Signature(activation_layout(parameters))),
                "activation_bits": In(range(bits + 1)),
                "fetch": In(1),
                "take": In(1),
                "loaded": Out(1),
                "plane": Out(parameters.rows),
                "zero": Out(1),
                "first": Out(1),
                "last": Out(1),
                "index": Out(range(bits)),
                "skipped": Out(range(bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()

        accept = Signal()
        used = Signal(p.max_activation_bits)
        m.d.comb += [
            self.activations.ready.eq(self.fetch & (~self.loaded | (self.take & self.last))),
            accept.eq(self.activations.valid & self.activations.ready),
        ]
        planes = []
        for bit in range(p.max_activation_bits):
            plane = Signal(p.rows, name=f"vector_{bit}", reset_less=True)
            m.d.comb += used[bit].eq(self.activation_bits > bit)
            with m.If(accept & used[bit]):
                m.d.sync += plane.eq(Cat(word[bit] for word in self.activations.payload))
            planes.append(plane)

        # The last plane is the highest one with a bit set, or plane 0 if there is none.
        populated = Signal(p.max_activation_bits)
        highest = Signal(range(p.max_activation_bits))
        m.d.comb += populated.eq(Cat(plane.any() for plane in planes) & used)
        for bit in range(1, p.max_activation_bits):
            with m.If(populated[bit]):
                m.d.comb += highest.eq(bit)
        m.d.comb += [
            self.first.eq(self.index == 0),
            self.last.eq(self.index == highest),
            self.zero.eq(~populated.bit_select(self.index, 1)),
            self.plane.eq(Array(planes)[self.index]),
            self.skipped.eq(self.activation_bits - 1 - highest),
        ]

        with m.If(self.take):
            m.d.sync += self.index.eq(self.index + 1)
            with m.If(self.last):
                m.d.sync += [self.index.eq(0), self.loaded.eq(0)]
        with m.If(accept):
            m.d.sync += self.loaded.eq(1)

        return m
