"""Load copy: images from the bus into the plane memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.engine import word_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["LoadCopy", "PlaneSlots", "slots_layout"]


def slots_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of the words of images that follow each other in slots of the memory."""
    address = parameters.address_bits
    return data.StructLayout(
        {
            "first": address,  # first word of the first image
            "base": address,  # first word of slot 0
            "words": 32,  # of an image
            "slot": 15,  # of the first image
            "slots": 15,  # less one
            "images": 16,
        }
    )


class PlaneSlots(Component):
    """Counts through the words of images in slots of the plane memory.

    Members
    -------
    copy : :func:`slots_layout`, In
    start : In
        Begin with this copy.
    active : Out
        Words are left.
    address : Out
        The next one.
    step : In
        Go on to the one behind it.
    """

    copy: Aggregate
    start: Signal
    active: Signal
    address: Signal
    step: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "copy": In(slots_layout(p)),
                "start": In(1),
                "active": Out(1),
                "address": Out(p.address_bits),
                "step": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        copy = structure(slots_layout(self.parameters), name="held_copy")
        left = Signal(32)  # words of the image, less one
        images = Signal(16)  # less one
        slot = Signal(15)
        with m.If(self.step):
            m.d.sync += [self.address.eq(self.address + 1), left.eq(left - 1)]
            with m.If(left == 0):
                following = (slot + 1)[:15] & copy.slots
                m.d.sync += [
                    left.eq(copy.words - 1),
                    images.eq(images - 1),
                    slot.eq(following),
                    self.active.eq(images != 0),
                ]
                with m.If(following == 0):
                    m.d.sync += self.address.eq(copy.base)
        with m.If(self.start):
            m.d.sync += [
                copy.eq(self.copy),
                self.active.eq(1),
                self.address.eq(self.copy.first),
                left.eq(self.copy.words - 1),
                images.eq(self.copy.images - 1),
                slot.eq(self.copy.slot),
            ]
        return m


class LoadCopy(Component):
    """Writes words that come from the bus into the plane memory.

    Throughput: a word a cycle.

    Members
    -------
    copy, start : as of :class:`PlaneSlots`
    active : Out
        Words are left to be written.
    words : stream, In
        Words of the plane memory.
    writes : stream of :func:`adq.rtl.platform.engine.word_layout`, Out
    """

    copy: Aggregate
    start: Signal
    active: Signal
    words: Stream
    writes: Stream

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "copy": In(slots_layout(p)),
                "start": In(1),
                "active": Out(1),
                "words": In(stream.Signature(p.rows)),
                "writes": Out(stream.Signature(word_layout(p))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slots = slots = PlaneSlots(self.parameters)
        write: Aggregate = self.writes.payload
        m.d.comb += [
            slots.copy.eq(self.copy),
            slots.start.eq(self.start),
            self.active.eq(slots.active),
            self.writes.valid.eq(self.words.valid & slots.active),
            self.words.ready.eq(self.writes.ready & slots.active),
            write.address.eq(slots.address),
            write.word.eq(self.words.payload),
            slots.step.eq(self.writes.valid & self.writes.ready),
        ]
        return m
