"""Read channel: turns a request of bytes into bursts, and keeps their beats."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.gearbox import beat_layout
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = [
    *("BURST_BEATS", "INDEX_BITS", "OFFSET_BITS", "PAGE_BYTES", "ReadChannel", "burst_layout"),
    *("request_layout",),
]

OFFSET_BITS = 36
"""Bits of a byte's place in a memory."""

INDEX_BITS = 13
"""Bits of the place of a descriptor in a program."""

PAGE_BYTES = 4096
"""Bytes whose boundaries bursts never cross."""

BURST_BEATS = 16
"""Most beats of a burst."""


def request_layout() -> data.StructLayout:
    """Return the layout of a request: bytes from a place in the memory, for a descriptor.

    Places and sizes may be larger than any memory.
    """
    return data.StructLayout({"offset": 56, "bytes": 56, "index": INDEX_BITS})


def burst_layout(bits: int) -> data.StructLayout:
    """Return the layout of a burst on a bus of ``bits`` bits."""
    return data.StructLayout(
        {
            "offset": OFFSET_BITS,  # of its first beat, in bytes
            "beats": 8,  # less one
            "skip": range(bits // 8),  # bytes of the first beat that were not asked for
            "drop": range(bits // 8),  # and of the last one
            "index": INDEX_BITS,
        }
    )


class ReadChannel(Component):
    """Reads what requests ask for, one after another::

        requests -> bursts ... -> arrived -> buffer -> beats

    A burst is asked for when there is room for all of it, so that beats on the bus never wait.

    Latency: 4 cycles from a request to its first burst. Throughput: a beat a cycle, where the bus
    answers within the cycles of the buffer's beats.

    Members
    -------
    size : In
        Bytes of the memory, in units of 16.
    requests : stream of :func:`request_layout`, In
        Places are multiples of the granule.
    outside : Out
        The request that was taken ends outside of the memory. It stays so: nothing is read.
    index : Out
        Descriptor of the request that was taken.
    bursts : stream of :func:`burst_layout`, Out
    arrived : In
        A beat of this channel arrives; ``beat`` is it, and its bytes that do not count.
    beats : stream of :func:`adq.rtl.platform.bus.gearbox.beat_layout`, Out
    """

    size: Signal
    requests: Stream
    outside: Signal
    index: Signal
    bursts: Stream
    arrived: Signal
    beat: Aggregate
    beats: Stream

    def __init__(self, bits: int, granule_bits: int, *, depth: int):
        assert depth >= BURST_BEATS
        self.bits = bits
        self.granule = granule_bits
        self.depth = depth
        super().__init__(
            {
                "size": In(32),
                "requests": In(stream.Signature(request_layout())),
                "outside": Out(1),
                "index": Out(INDEX_BITS),
                "bursts": Out(stream.Signature(burst_layout(bits))),
                "arrived": In(1),
                "beat": In(beat_layout(bits, 8)),
                "beats": Out(stream.Signature(beat_layout(bits, granule_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        log = exact_log2(self.bits // 8)
        asked: Aggregate = self.requests.payload

        # ---- A request is taken, its end computed, and held against the memory's size.
        taken = Signal()
        ended = Signal()
        held = structure(request_layout(), name="held")
        end = Signal(57)
        active = Signal()
        first = Signal()
        place = Signal(OFFSET_BITS - log)  # of the next beat
        left = Signal(OFFSET_BITS - log + 1)
        skip = Signal(log)
        drop = Signal(log)
        m.d.comb += [
            self.requests.ready.eq(~taken & ~active),
            self.outside.eq(ended & (end > self.size << 4)),
            self.index.eq(held.index),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [taken.eq(1), held.eq(asked)]
        with m.If(taken):
            m.d.sync += [ended.eq(1), end.eq(held.offset + held.bytes)]
        with m.If(ended & ~self.outside):
            m.d.sync += [
                taken.eq(0),
                ended.eq(0),
                active.eq(1),
                first.eq(1),
                place.eq(held.offset >> log),
                left.eq(((end + (1 << log) - 1) >> log) - (held.offset >> log)),
                skip.eq(held.offset),
                drop.eq(-end),
            ]

        # ---- Its bursts.
        page = PAGE_BYTES * 8 // self.bits
        to_page = Signal(range(page + 1))
        burst = Signal(range(BURST_BEATS + 1))
        reserved = Signal(range(self.depth + 1))
        m.d.comb += [
            to_page.eq(page - place[: exact_log2(page)]),
            burst.eq(BURST_BEATS),
        ]
        shortest = Mux(left < to_page, left, to_page)
        with m.If(shortest < BURST_BEATS):
            m.d.comb += burst.eq(shortest)
        last = left == burst
        given: Aggregate = self.bursts.payload
        moves = Signal()
        asks = Signal()
        m.d.comb += [
            moves.eq(~self.bursts.valid | self.bursts.ready),
            asks.eq(moves & active & (reserved + burst <= self.depth)),
        ]
        with m.If(moves):
            m.d.sync += self.bursts.valid.eq(asks)
        with m.If(asks):
            m.d.sync += [
                given.offset.eq(place << log),
                given.beats.eq(burst - 1),
                given.skip.eq(Mux(first, skip, 0)),
                given.drop.eq(Mux(last, drop, 0)),
                given.index.eq(held.index),
                first.eq(0),
                place.eq(place + burst),
                left.eq(left - burst),
                active.eq(~last),
            ]

        # ---- Its beats.
        layout = beat_layout(self.bits, self.granule)
        kept = structure(layout, name="kept")
        scale = exact_log2(self.granule // 8)
        m.d.comb += [
            kept.data.eq(self.beat.data),
            kept.skip.eq(self.beat.skip >> scale),
            kept.drop.eq(self.beat.drop >> scale),
        ]
        m.submodules.buffer = buffer = _Buffer(layout.size, self.depth)
        m.d.comb += [
            buffer.write.eq(self.arrived),
            buffer.given.eq(kept.as_value()),
            self.beats.valid.eq(buffer.words.valid),
            self.beats.payload.eq(buffer.words.payload),
            buffer.words.ready.eq(self.beats.ready),
        ]
        leaves = self.beats.valid & self.beats.ready
        # Both sums are there before it is known whether the burst is asked for.
        kept_room = Signal.like(reserved)
        given_room = Signal.like(reserved)
        m.d.comb += [kept_room.eq(reserved - leaves), given_room.eq(reserved + burst - leaves)]
        m.d.sync += reserved.eq(Mux(asks, given_room, kept_room))
        return m


class _Buffer(Component):
    """Queue without back-pressure at its input: room is reserved elsewhere."""

    write: Signal
    given: Signal
    words: Stream

    def __init__(self, bits: int, depth: int):
        self.bits = bits
        self.depth = depth
        super().__init__({"write": In(1), "given": In(bits), "words": Out(stream.Signature(bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.depth
        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(self.bits), depth=depth, init=[]
        )
        m.submodules.storage = storage
        read, write = storage.read_port(), storage.write_port()
        count = Signal(range(depth + 1))
        moves = Signal()
        m.d.comb += [
            write.en.eq(self.write),
            write.data.eq(self.given),
            moves.eq((count != 0) & (~self.words.valid | self.words.ready)),
            read.en.eq(moves),
            self.words.payload.eq(read.data),
        ]
        with m.If(self.write):
            m.d.sync += write.addr.eq(Mux(write.addr == depth - 1, 0, write.addr + 1))
        with m.If(moves):
            m.d.sync += read.addr.eq(Mux(read.addr == depth - 1, 0, read.addr + 1))
        with m.If(~self.words.valid | self.words.ready):
            m.d.sync += self.words.valid.eq(moves)
        m.d.sync += count.eq(count + self.write - moves)
        return m
