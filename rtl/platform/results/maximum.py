"""Maximum pooling of results that arrive in the order of pooling windows."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component, Stream

__all__ = ["MaximumPool", "pixel_layout"]

ACTIVATION_BITS = 16
"""Most bits of an activation."""


def pixel_layout(activation_bits: int = ACTIVATION_BITS) -> data.StructLayout:
    """Return the layout of a pixel's activation; it has a sign, whatever the tensor has."""
    return data.StructLayout(
        {
            "value": signed(activation_bits + 1),
            "inside": 1,  # the window reaches this pixel within the tensor
            "last": 1,  # last pixel of its window
        }
    )


class MaximumPool(Component):
    """Gives the largest activation of each window.

    Pixels that are not inside never win. A window with no pixel inside gives ``least``. Windows of
    one pixel pass through.

    Latency: 1 cycle. Throughput: one pixel per cycle.

    Members
    -------
    pixels : stream of :func:`pixel_layout`, In
    least : In
        Smallest activation of the tensor's format.
    windows : stream of signed ``activation_bits + 1``, Out
    """

    pixels: Stream
    least: Signal
    windows: Stream

    def __init__(self, *, activation_bits: int = ACTIVATION_BITS):
        self.activation_bits = activation_bits
        super().__init__(
            {
                "pixels": In(stream.Signature(pixel_layout(activation_bits))),
                "least": In(signed(activation_bits + 1)),
                "windows": Out(stream.Signature(signed(activation_bits + 1))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pixel = self.pixels.payload
        moves = Signal()
        taken = Signal()
        begun = Signal()
        value = Signal(signed(self.activation_bits + 1))
        so_far = Signal(signed(self.activation_bits + 1))
        m.d.comb += [
            moves.eq(~self.windows.valid | self.windows.ready),
            self.pixels.ready.eq(moves),
            taken.eq(moves & self.pixels.valid),
            value.eq(Mux(pixel.inside, pixel.value, self.least)),
            so_far.eq(Mux(begun, self.windows.payload, self.least)),
        ]
        with m.If(moves):
            m.d.sync += self.windows.valid.eq(self.pixels.valid & pixel.last)
        # The result register holds the largest pixel of a window that has begun.
        with m.If(taken):
            m.d.sync += [
                begun.eq(~pixel.last),
                self.windows.payload.eq(Mux(value > so_far, value, so_far)),
            ]
        return m
