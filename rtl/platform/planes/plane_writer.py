"""Plane writer: from numbers of neighbouring channels to words of bit planes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["PlaneWriter", "slice_layout"]

ACTIVATION_BITS = 16
"""Most bits of an activation."""


def slice_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of some outputs of a pixel, ``requantizers`` at a time."""
    p = parameters
    return data.StructLayout(
        {
            "values": data.ArrayLayout(ACTIVATION_BITS, p.requantizers),
            "slice": range(p.slices(2)),
            "last": 1,  # of the pixel
            "address": p.address_bits,  # word of the first output's lowest plane
            "offset": range(p.rows),  # bit of the first output in the word
            "outputs": range(p.tile.lanes + 1),  # of the pixel
        }
    )


class PlaneWriter(Component):
    """Collects the outputs of a pixel, and writes them into the plane memory, plane by plane::

        slices -> two buffers -> plane -> << offset -> word, mask -> register -> write

    Only the bits of the outputs are written: other pixels and other outputs share words. A pixel's
    address, offset and outputs come with its last slice. One buffer is written while the other one
    collects.

    Latency: the first plane is written two cycles behind the pixel's last slice. Throughput: a
    slice per cycle, and a word per cycle: outputs that end in the next word take two a plane, and
    a write that waits takes longer.

    Members
    -------
    slices : stream of :func:`slice_layout`, In
    planes : In
        Planes of the tensor, 1 to 16. They change only while the block is not busy, and so do the
        others.
    plane_step : In
        Words from a plane to the next one.
    write_enable, address, word, mask : Out
        Write of the bits of a word where ``mask`` is set. It stands until ``write_ready``.
    write_ready : In
        The memory takes the write.
    busy : Out
        Pixels of which all slices were taken are still to be written.
    """

    slices: Stream
    planes: Signal
    plane_step: Signal
    write_enable: Signal
    address: Signal
    word: Signal
    mask: Signal
    write_ready: Signal
    busy: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "slices": In(stream.Signature(slice_layout(p))),
                "planes": In(range(ACTIVATION_BITS + 1)),
                "plane_step": In(p.address_bits),
                "write_enable": Out(1),
                "address": Out(p.address_bits),
                "word": Out(p.rows),
                "mask": Out(p.rows),
                "write_ready": In(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        lanes = p.tile.lanes
        given: Aggregate = self.slices.payload

        collecting = Signal()
        sending = Signal()
        full = Signal(2)
        taken = Signal()
        sent = Signal()
        moves = Signal()  # the word in the register leaves, or there is none
        fills = taken & given.last
        m.d.comb += [
            self.slices.ready.eq(~full.bit_select(collecting, 1)),
            taken.eq(self.slices.valid & self.slices.ready),
            moves.eq(~self.write_enable | self.write_ready),
            self.busy.eq(full.any() | self.write_enable),
        ]
        m.d.sync += [
            full.eq((full | Mux(fills, 1 << collecting, 0)) & ~Mux(sent, 1 << sending, 0)),
            collecting.eq(collecting ^ fills),
            sending.eq(sending ^ sent),
        ]

        # Buffers, one register for each slice and plane.
        pixel_layout = data.StructLayout(
            {
                "address": p.address_bits,
                "offset": range(p.rows),
                "outputs": range(lanes + 1),
            }
        )
        pixels, planes = [], []
        for which in range(2):
            pixel = structure(pixel_layout, name=f"pixel_{which}", reset_less=True)
            with m.If(fills & (collecting == which)):
                m.d.sync += [pixel[name].eq(given[name]) for name in pixel_layout.members]
            pixels.append(pixel)
            parts: list[list[Value]] = [[] for _ in range(ACTIVATION_BITS)]
            for number in range(p.slices(2)):
                size = min(p.requantizers, lanes - number * p.requantizers)
                enters = Signal(name=f"enters_{which}_{number}")
                m.d.comb += enters.eq(taken & (collecting == which) & (given.slice == number))
                for bit, part in enumerate(parts):
                    held = Signal(size, name=f"held_{which}_{number}_{bit}", reset_less=True)
                    with m.If(enters & (self.planes > bit)):
                        values = [given["values"][lane] for lane in range(size)]
                        m.d.sync += held.eq(Cat(value[bit] for value in values))
                    part.append(held)
            planes.append([Cat(part) for part in parts])

        # The plane that is written, and its word among those that the outputs lie in.
        plane = Signal(range(ACTIVATION_BITS))
        step = Signal(p.address_bits)
        words = -(-(lanes + p.rows - 1) // p.rows)
        place = Signal(range(words))
        now = structure(pixel_layout)
        bits = Signal(lanes)
        valid = Signal(lanes)
        shifted = Signal(words * p.rows)
        within = Signal(words * p.rows)
        ends_plane = Signal()
        ends_word = Signal()
        end = Signal(range(words * p.rows + 1))
        m.d.comb += [
            now.eq(Mux(sending, pixels[1].as_value(), pixels[0].as_value())),
            valid.eq(Cat(now.outputs > lane for lane in range(lanes))),
            shifted.eq(bits << now.offset),
            within.eq(valid << now.offset),
            end.eq(now.offset + now.outputs),
            ends_word.eq(place == (end - 1)[exact_log2(p.rows) :]),
            ends_plane.eq(plane == self.planes - 1),
            sent.eq(moves & full.bit_select(sending, 1) & ends_word & ends_plane),
        ]
        with m.Switch(plane):
            for each in range(ACTIVATION_BITS):
                with m.Case(each):
                    m.d.comb += bits.eq(Mux(sending, planes[1][each], planes[0][each]))
        with m.If(moves):
            m.d.sync += self.write_enable.eq(full.bit_select(sending, 1))
        with m.If(moves & full.bit_select(sending, 1)):
            m.d.sync += [
                self.address.eq(now.address + step + place),
                self.word.eq(shifted.word_select(place, p.rows)),
                self.mask.eq(within.word_select(place, p.rows)),
                place.eq(place + 1),
            ]
            with m.If(ends_word):
                m.d.sync += [place.eq(0), plane.eq(plane + 1), step.eq(step + self.plane_step)]
                with m.If(ends_plane):
                    m.d.sync += [plane.eq(0), step.eq(0)]
        return m
