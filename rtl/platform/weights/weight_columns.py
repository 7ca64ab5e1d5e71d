"""Weight columns: a weight buffer for each column of tiles, behind one stream of beats."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.weight_buffer import WeightBuffer
from adq.rtl.platform.weights.weight_loader import chunks_layout, order_layout
from adq.rtl.port_types import Component, Stream

__all__ = ["WeightColumns"]


class WeightColumns(Component):
    """Deals the blocks of a program to the weight buffers of its columns, one after another.

    Throughput: a beat a cycle.

    Members
    -------
    orders, chunks : streams, In
        As of :class:`adq.rtl.platform.weights.weight_buffer.WeightBuffer`; all buffers take them at
        once.
    beats : stream, In
        Beats of the tiles' weight ports, in the order of the program.
    weights : array of streams of :func:`adq.rtl.interface.weight_layout`, Out
        Those of each tile: cluster by cluster, in it unit by unit, in it column by column.
    """

    orders: Stream
    chunks: Stream
    beats: Stream
    weights: Sequence[Stream]

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "orders": In(stream.Signature(order_layout())),
                "chunks": In(stream.Signature(chunks_layout(p))),
                "beats": In(stream.Signature(weight_layout(p.tile).size)),
                "weights": Out(stream.Signature(weight_layout(p.tile))).array(p.tiles),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        beat = Signal(range(p.tile.weight_beats))
        column = Signal(range(p.tile_columns))
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += beat.eq(beat + 1)
            with m.If(beat == p.tile.weight_beats - 1):
                m.d.sync += [beat.eq(0), column.eq(column + 1)]
                with m.If(column == p.tile_columns - 1):
                    m.d.sync += column.eq(0)
        buffers = [WeightBuffer(p) for _ in range(p.tile_columns)]
        for number, buffer in enumerate(buffers):
            m.submodules[f"buffer_{number}"] = buffer
            m.d.comb += [
                buffer.beats.payload.eq(self.beats.payload),
                buffer.beats.valid.eq(self.beats.valid & (column == number)),
            ]
            with m.If(column == number):
                m.d.comb += self.beats.ready.eq(buffer.beats.ready)
            for unit in range(p.units):
                tile = unit * p.tile_columns + number
                connect(m, buffer.weights[unit], flipped(self.weights[tile]))
        for name in ("orders", "chunks"):
            given: Stream = getattr(self, name)
            taken: list[Stream] = [getattr(buffer, name) for buffer in buffers]
            m.d.comb += given.ready.eq(1)
            for each in taken:
                with m.If(~each.ready):
                    m.d.comb += given.ready.eq(0)
            for each in taken:
                m.d.comb += [
                    each.payload.eq(given.payload), each.valid.eq(given.valid & given.ready)
                ]  # fmt: skip
        return m
