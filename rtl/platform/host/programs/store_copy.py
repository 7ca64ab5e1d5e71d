"""Store copy: images from the plane memory to the bus."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, fifo, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.read_channel import OFFSET_BITS
from adq.rtl.platform.host.programs.load_copy import PlaneSlots, slots_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["StoreCopy"]

_DEPTH = 4
"""Words that are kept between the memory and the bus."""


class StoreCopy(Component):
    """Reads words of the plane memory, and gives them with their places in the output memory.

    Throughput: a word a cycle.

    Members
    -------
    copy, start : as of :class:`adq.rtl.platform.host.programs.load_copy.PlaneSlots`
    place : In
        Place of the first word, in words; taken with ``start``.
    active : Out
        Words are left to be taken.
    reads : stream of addresses, Out
    read_word : word, In
        Word of the read that was taken in the cycle before.
    words : stream, Out
        Words and their places, as :class:`adq.rtl.platform.bus.lane_writer.LaneWriter` takes them.
    """

    copy: Aggregate
    start: Signal
    place: Signal
    active: Signal
    reads: Stream
    read_word: Signal
    words: Stream

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        place = OFFSET_BITS - exact_log2(p.rows // 8)
        super().__init__(
            {
                "copy": In(slots_layout(p)),
                "start": In(1),
                "place": In(place),
                "active": Out(1),
                "reads": Out(stream.Signature(p.address_bits)),
                "read_word": In(p.rows),
                "words": Out(stream.Signature(data.StructLayout({"place": place, "word": p.rows}))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.slots = slots = PlaneSlots(p)
        m.submodules.kept = kept = fifo.SyncFIFOBuffered(width=p.rows, depth=_DEPTH)
        read = Signal()
        given: Aggregate = self.words.payload
        place = Signal.like(self.place)
        m.d.comb += [
            slots.copy.eq(self.copy),
            slots.start.eq(self.start),
            slots.step.eq(self.reads.valid & self.reads.ready),
            self.active.eq(slots.active | read | (kept.r_level != 0)),
            self.reads.valid.eq(slots.active & (kept.r_level + read < _DEPTH)),
            self.reads.payload.eq(slots.address),
            kept.w_en.eq(read),
            kept.w_data.eq(self.read_word),
            self.words.valid.eq(kept.r_rdy),
            given.word.eq(kept.r_data),
            given.place.eq(place),
            kept.r_en.eq(self.words.ready),
        ]
        m.d.sync += read.eq(slots.step)
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += place.eq(place + 1)
        with m.If(self.start):
            m.d.sync += place.eq(self.place)
        return m
