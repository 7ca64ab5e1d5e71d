"""Gearbox: a stream of words of one width from words of another."""

from math import gcd

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Gearbox", "beat_layout", "granule"]


def granule(taken: int, given: int) -> int:
    """Return the bits in which a gearbox counts: both widths, and 16 bytes, are multiples of it."""
    return gcd(taken, given, 128)


def beat_layout(bits: int, granule_bits: int) -> data.StructLayout:
    """Return the layout of a beat of ``bits`` bits whose first and last granules may not count."""
    count = bits // granule_bits
    return data.StructLayout({"data": bits, "skip": range(count), "drop": range(count)})


class Gearbox(Component):
    """Gives words of ``given`` bits, lowest first, from beats of ``taken`` bits.

    Throughput: a beat or a word a cycle, whichever is wider. Latency: 1 cycle.

    Members
    -------
    beats : stream of :func:`beat_layout`, In
        At least one granule of a beat counts.
    words : stream, Out
    """

    beats: Stream
    words: Stream

    def __init__(self, taken: int, given: int):
        self.taken = taken
        self.given = given
        self.granule = granule(taken, given)
        super().__init__(
            {
                "beats": In(stream.Signature(beat_layout(taken, self.granule))),
                "words": Out(stream.Signature(given)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit, taken, given = self.granule, self.taken, self.given
        beat, word = taken // unit, given // unit
        capacity = beat + word
        store = Signal(capacity * unit)
        fill = Signal(range(capacity + 1))  # granules
        rest = Signal.like(store)
        left = Signal.like(fill)
        m.d.comb += [
            self.words.valid.eq(fill >= word),
            self.words.payload.eq(store[:given]),
            rest.eq(store),
            left.eq(fill),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.comb += [rest.eq(store >> given), left.eq(fill - word)]
        m.d.comb += self.beats.ready.eq(left <= word)
        m.d.sync += [store.eq(rest), fill.eq(left)]
        payload: Aggregate = self.beats.payload
        useful = Signal(taken)
        m.d.comb += useful.eq(payload.data)
        for skip in range(1, beat):
            with m.If(payload.skip == skip):
                m.d.comb += useful.eq(payload.data >> skip * unit)
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += fill.eq(left + beat - payload.skip - payload.drop)
            with m.Switch(left):
                for place in range(word + 1):
                    with m.Case(place):
                        m.d.sync += store[place * unit :][:taken].eq(useful)
        return m
