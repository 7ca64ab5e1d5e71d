"""A tile whose streams' ``valid`` and ``ready`` can flip on their way."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import activation_layout, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile

__all__ = ["FLIPS", "STREAMS", "TileWithWires"]

STREAMS = ("jobs", "weights", "activations", "results")

FLIPS = tuple(f"{name}.{wire}" for wire in ("valid", "ready") for name in STREAMS)
"""Bits of ``flip``, the lowest first."""


class TileWithWires(wiring.Component):
    """A tile, and wires between it and what drives it. A wire that flips does so for all that read
    it: the other side of the stream, and who watches. Who drives it does not know.

    Members
    -------
    those of :class:`adq.rtl.tile.Tile`
    flip : In
        Which of :data:`FLIPS` are inverted.
    watched_<stream> : Out
        ``valid``, ``ready`` and ``payload`` as a monitor sees them.
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        layouts = (job_layout, weight_layout, activation_layout, result_layout)
        shapes = dict(zip(STREAMS, (layout(parameters) for layout in layouts), strict=True))
        self.tile = Tile(parameters)
        super().__init__(
            {
                **dict(self.tile.signature.members.items()),
                "flip": In(len(FLIPS)),
                **{
                    f"watched_{name}": Out(
                        wiring.Signature({"valid": Out(1), "ready": Out(1), "payload": Out(shape)})
                    )
                    for name, shape in shapes.items()
                },
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.tile = tile = self.tile
        flips = dict(zip(FLIPS, self.flip, strict=True))
        for name in STREAMS:
            inner, outer = getattr(tile, name), getattr(self, name)
            source, sink = (inner, outer) if name == "results" else (outer, inner)
            watched = getattr(self, f"watched_{name}")
            m.d.comb += [
                watched.valid.eq(source.valid ^ flips[f"{name}.valid"]),
                watched.ready.eq(sink.ready ^ flips[f"{name}.ready"]),
                watched.payload.eq(source.payload),
                sink.valid.eq(watched.valid),
                sink.payload.eq(source.payload),
                source.ready.eq(watched.ready),
            ]
        m.d.comb += [
            tile.counter_address.eq(self.counter_address),
            self.counter_data.eq(tile.counter_data),
        ]
        return m
