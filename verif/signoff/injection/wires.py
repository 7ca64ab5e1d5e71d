"""Tile with fault injection on the ``valid`` and ``ready`` wires of its streams."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import activation_layout, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile

__all__ = ["FLIPS", "STREAMS", "TileWithWires"]

STREAMS = ("jobs", "weights", "activations", "results")

FLIPS = tuple(f"{name}.{wire}" for wire in ("valid", "ready") for name in STREAMS)
"""Wire inverted by each bit of ``flip``, lowest bit first."""


class TileWithWires(wiring.Component):
    """Wraps a tile, and inverts selected ``valid`` and ``ready`` wires between it and its ports.

    All readers of an inverted wire see the inverted value: the other side of the stream, and the
    monitors. The driver of the wire does not.

    Latency: none (combinational).

    Members
    -------
    members of :class:`adq.rtl.tile.Tile`
    flip : In
        One bit per wire of :data:`FLIPS`: the wire is inverted in this cycle.
    watched_<stream> : Out
        ``valid``, ``ready`` and ``payload`` after inversion, for monitors.
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
