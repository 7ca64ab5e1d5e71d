"""Chunk counter: how many chunks of pooling windows a layer has, without a division."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component

__all__ = ["ChunkCounter"]


class ChunkCounter(Component):
    """Follows the walker: counts the windows of a chunk one by one, as many as half of the
    accumulator memory holds.

    Each window is at least a plane of the walker, which never is ahead for long.

    Latency: a cycle for each window of a chunk.

    Members
    -------
    layer : descriptor, In
        It stands from ``begin`` to the end of the last chunk.
    window : In
        Pixels of a pooling window.
    begin : In
        Count the first chunk of a group of outputs.
    valid : Out
        The chunk is counted.
    last : Out
        No chunk follows.
    take : In
        Count the next chunk. The one that is taken must be valid, and not the last.
    """

    layer: Aggregate
    window: Signal
    begin: Signal
    valid: Signal
    last: Signal
    take: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        super().__init__(
            {
                "layer": In(descriptor_layout(Layer)),
                "window": In(12),
                "begin": In(1),
                "valid": Out(1),
                "last": Out(1),
                "take": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        d = self.layer
        vectors = self.parameters.accumulator_vectors
        running = Signal()
        room = Signal(range(vectors + 1))
        images = Signal(16)
        ends = []
        places = []
        for axis, side in (("y", "height"), ("x", "width")):
            place = Signal(18, name=f"place_{axis}")
            following = Signal(18, name=f"following_{axis}")
            most = d[side] + 2 * d[f"pool_padding_{axis}"] - d[f"pool_{side}"]
            m.d.comb += following.eq(place + d[f"pool_stride_{axis}"])
            ends.append(following > most)
            places.append((place, following))
        last_image = images == Cat(d.images_log > bit for bit in range(15))
        last_window = ends[0] & ends[1] & last_image
        left = Signal.like(room)
        m.d.comb += left.eq(room - self.window)
        (y, next_y), (x, next_x) = places
        with m.If(running):
            m.d.sync += [room.eq(left), x.eq(next_x)]
            with m.If(ends[1]):
                m.d.sync += [x.eq(0), y.eq(next_y)]
                with m.If(ends[0]):
                    m.d.sync += [y.eq(0), images.eq(images + 1)]
            with m.If(last_window | (left < self.window)):
                m.d.sync += [running.eq(0), self.valid.eq(1), self.last.eq(last_window)]
        with m.If(self.begin | self.take):
            m.d.sync += [running.eq(1), self.valid.eq(0), room.eq(vectors)]
        with m.If(self.begin):
            m.d.sync += [x.eq(0), y.eq(0), images.eq(0)]
        return m
