"""Skip reader: gathers the bit planes of a skip connection into numbers."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Component, Stream, Words

__all__ = ["SkipReader"]

ACTIVATION_BITS = 16
"""Most bits of an activation."""


class SkipReader(Component):
    """Reads the planes of some neighbouring channels of a pixel::

        read -> word -> rotate by offset -> bit of each lane -> numbers

    All planes of the word in which the first channel lies are read, then those of the next one if
    channels lie there.

    Latency: numbers stand in the cycle behind the last read. Throughput: a word per cycle.

    Members
    -------
    request : In
        Read for the step at the other inputs, which stand until ``done``. In the cycle behind a
        read, the numbers of the step before are not needed any more.
    address, offset, count : In
        Word and bit of the first channel's lowest plane, and channels.
    planes, signed, plane_step : In
        Format of the tensor, and words from a plane to the next one.
    done : Out
        The last read is taken in this cycle.
    reads : stream of addresses, Out
    read_word : word, In
        Word of the read that was taken in the cycle before.
    numbers : array of signed numbers, Out
        They stand until the next read.
    """

    request: Signal
    address: Signal
    offset: Signal
    count: Signal
    planes: Signal
    signed: Signal
    plane_step: Signal
    done: Signal
    reads: Stream
    read_word: Signal
    numbers: Words

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "request": In(1),
                "address": In(p.address_bits),
                "offset": In(range(p.rows)),
                "count": In(range(p.requantizers + 1)),
                "planes": In(range(ACTIVATION_BITS + 1)),
                "signed": In(1),
                "plane_step": In(p.address_bits),
                "done": Out(1),
                "reads": Out(stream.Signature(p.address_bits)),
                "read_word": In(p.rows),
                "numbers": Out(data.ArrayLayout(signed(ACTIVATION_BITS + 1), p.requantizers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        log = exact_log2(p.rows)
        plane = Signal(range(ACTIVATION_BITS))
        step = Signal(p.address_bits)
        place = Signal(range(-(-(p.requantizers + p.rows - 1) // p.rows)))
        last_plane = Signal()
        last_word = Signal()
        taken = Signal()
        end = Signal(range(p.rows + p.requantizers))  # bit of the last channel
        m.d.comb += [
            end.eq(self.offset + self.count - 1),
            last_plane.eq(plane == self.planes - 1),
            last_word.eq(place == end[log:]),
            self.reads.valid.eq(self.request),
            self.reads.payload.eq(self.address + step + place),
            taken.eq(self.reads.valid & self.reads.ready),
            self.done.eq(taken & last_plane & last_word),
        ]
        read = Signal()
        read_plane = Signal.like(plane)
        read_place = Signal.like(place)
        read_offset = Signal.like(self.offset)
        negative = Signal()
        m.d.sync += read.eq(taken)
        with m.If(taken):
            m.d.sync += [
                plane.eq(plane + 1),
                step.eq(step + self.plane_step),
                read_plane.eq(plane),
                read_place.eq(place),
                read_offset.eq(self.offset),
                negative.eq(self.signed & last_plane),
            ]
            with m.If(last_plane):
                m.d.sync += [plane.eq(0), step.eq(0), place.eq(Mux(last_word, 0, place + 1))]

        # Each plane also sets the bits above it: to 0, or to the sign of the top plane.
        rotated = Signal(p.rows)
        from_plane = Signal(ACTIVATION_BITS + 1)
        ones = Signal(ACTIVATION_BITS + 1)
        m.d.comb += [
            rotated.eq(Cat(self.read_word, self.read_word) >> read_offset),
            from_plane.eq(Cat(read_plane <= bit for bit in range(len(from_plane)))),
            ones.eq(Mux(negative, from_plane, from_plane & ~(from_plane << 1))),
        ]
        # A register's next value has a multiplexer of its own: one that is shared with the output
        # would keep the synthesis from gating the clock.
        for lane in range(p.requantizers):
            held = Signal(ACTIVATION_BITS + 1, name=f"held_{lane}", reset_less=True)
            now = Signal(name=f"now_{lane}")
            number = self.numbers[lane]
            sets = Mux(now & rotated[lane % p.rows], ones, 0)
            m.d.comb += [
                now.eq(read & (((read_offset + lane) >> log) == read_place)),
                number.eq((held & ~Mux(now, from_plane, 0)) | sets),
            ]
            with m.If(now):
                m.d.sync += held.eq(number)
        return m
