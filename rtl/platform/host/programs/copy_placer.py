"""Copy placer: where the images of a copy lie in the plane memory and on the bus."""

from typing import cast

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import Load, Store, When
from adq.rtl.platform.host.programs.load_copy import slots_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component

__all__ = ["CopyPlacer"]

_WORD_BITS = 64


class CopyPlacer(Component):
    """Computes the places of a ``Load`` or a ``Store`` in a pass, by adding and shifting.

    Latency: as many cycles as the number of the first image has bits, and two.

    Members
    -------
    load : descriptor, In
        A ``Store`` has the same fields at the same places.
    loads : In
        It is a ``Load``.
    image, last : In
        First image of the pass, and whether the pass is the last one.
    begin : In
    placed : Out
        The places are there.
    empty : Out
        Nothing is copied in this pass.
    offset, size : Out
        First byte in the memory of the bus, and bytes. Numbers of 2^55 and more stand for any such.
    copy : :func:`adq.rtl.platform.host.programs.load_copy.slots_layout`, Out
    """

    load: Aggregate
    loads: Signal
    image: Signal
    last: Signal
    begin: Signal
    placed: Signal
    empty: Signal
    offset: Signal
    size: Signal
    copy: Aggregate

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "load": In(descriptor_layout(Load)),
                "loads": In(1),
                "image": In(32),
                "last": In(1),
                "begin": In(1),
                "placed": Out(1),
                "empty": Out(1),
                "offset": Out(56),
                "size": Out(56),
                "copy": Out(slots_layout(p)),
            }
        )
        for name in ("images_log", "slots_log", "words", "address", "memory"):
            places = [descriptor_layout(kind)[name] for kind in (Load, Store)]
            assert places[0] == places[1]

    def elaborate(self, platform: object) -> Module:
        p, d = self.parameters, self.load
        m = Module()
        word_log = exact_log2(p.rows // 8)
        factor = Signal(32)  # bits of the first image that are left
        slot = Signal(15)  # and of its slot
        words = Signal(_WORD_BITS)
        before = Signal(_WORD_BITS)
        below = Signal(p.address_bits)
        when = Mux(self.loads, d.when, When.EVERY_PASS)
        ahead = when == When.AHEAD
        first = Mux(ahead, self.image + (1 << d.images_log), self.image)
        slots = Cat(d.slots_log > bit for bit in range(15))
        with m.If(self.begin):
            m.d.sync += [
                factor.eq(first),
                slot.eq(first[:15] & slots),
                words.eq(d.words),
                before.eq(0),
                below.eq(0),
                self.copy.slot.eq(first[:15] & slots),
            ]
        with m.Elif(factor != 0):
            m.d.sync += [
                factor.eq(factor >> 1),
                slot.eq(slot >> 1),
                words.eq(words << 1),
                before.eq(before + Mux(factor[0], words, 0)),
                below.eq(below + Mux(slot[0], words[: p.address_bits], 0)),
            ]
        offset = cast(Value, (before << word_log) + (d.memory << 4))
        m.d.sync += [
            self.placed.eq(~self.begin & (factor == 0)),
            self.offset.eq(Mux(offset[55:].any(), 1 << 55, offset)),
            self.size.eq((d.words << d.images_log) << word_log),
        ]
        m.d.comb += [
            self.empty.eq(((when == When.FIRST_PASS) & (self.image != 0)) | (ahead & self.last)),
            self.copy.first.eq(d.address + below),
            self.copy.base.eq(d.address),
            self.copy.words.eq(d.words),
            self.copy.slots.eq(slots),
            self.copy.images.eq(1 << d.images_log),
        ]
        return m
