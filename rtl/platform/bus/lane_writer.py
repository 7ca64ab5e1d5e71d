"""Lane writer: words of any width as writes of some bytes of a beat."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.read_channel import OFFSET_BITS
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["LaneWriter", "write_layout"]


def write_layout(bits: int) -> data.StructLayout:
    """Return the layout of a write of some bytes of a beat of ``bits`` bits."""
    place = OFFSET_BITS - exact_log2(bits // 8)
    return data.StructLayout({"place": place, "data": bits, "strobe": bits // 8})


class LaneWriter(Component):
    """Gives the writes of words of ``taken`` bits on a bus of ``bits`` bits.

    Latency: none. Throughput: a write a cycle.

    Members
    -------
    words : stream, In
        Words, and their places, in words.
    writes : stream of :func:`write_layout`, Out
    """

    words: Stream
    writes: Stream

    def __init__(self, taken: int, bits: int):
        self.taken = taken
        self.bits = bits
        place = OFFSET_BITS - exact_log2(taken // 8)
        layout = data.StructLayout({"place": place, "word": taken})
        super().__init__(
            {
                "words": In(stream.Signature(layout)),
                "writes": Out(stream.Signature(write_layout(bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given: Aggregate = self.words.payload
        write: Aggregate = self.writes.payload
        m.d.comb += self.writes.valid.eq(self.words.valid)
        if self.taken <= self.bits:
            lanes = self.bits // self.taken
            log = exact_log2(lanes)
            m.d.comb += [
                write.place.eq(given.place >> log),
                write.data.eq(given.word.replicate(lanes)),
                self.words.ready.eq(self.writes.ready),
            ]
            size = self.taken // 8
            with m.Switch(given.place[:log]):
                for lane in range(lanes):
                    with m.Case(lane):
                        m.d.comb += write.strobe.eq(((1 << size) - 1) << lane * size)
            return m
        parts = self.taken // self.bits
        part = Signal(range(parts))
        m.d.comb += [
            write.place.eq((given.place << exact_log2(parts)) | part),
            write.data.eq(given.word.word_select(part, self.bits)),
            write.strobe.eq((1 << self.bits // 8) - 1),
            self.words.ready.eq(self.writes.ready & (part == parts - 1)),
        ]
        with m.If(self.writes.valid & self.writes.ready):
            m.d.sync += part.eq(part + 1)
        return m
