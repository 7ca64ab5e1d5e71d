"""Weight buffer: keeps the weights of groups of outputs, and replays them for each chunk."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import weight_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.chunk_counter import ChunkCounter
from adq.rtl.platform.weights.weight_loader import order_layout
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["WeightBuffer"]


class WeightBuffer(Component):
    """Stores beats of weights in a ring, and gives them to the tile::

        beats -> ring -> weights
                   ^ replayed for each chunk, where a group is kept

    A group that fits into half of the ring comes once, and is replayed for each chunk of pooling
    windows, while the next one comes. Beats of larger groups are given once, as they come.

    Throughput: a beat in and a beat out a cycle, also from one group to the next.

    Members
    -------
    orders : stream of :func:`adq.rtl.platform.weights.weight_loader.order_layout`, In
    beats : stream, In
        Beats of the tile's weight port, in the order of orders.
    weights : stream of :func:`adq.rtl.interface.weight_layout`, Out
    """

    orders: Stream
    beats: Stream
    weights: Stream

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        self.bits = weight_layout(p.tile).size
        self.depth = 2 * 8192 * p.weight_buffer_kib // self.bits
        super().__init__(
            {
                "orders": In(stream.Signature(order_layout())),
                "beats": In(stream.Signature(self.bits)),
                "weights": Out(stream.Signature(weight_layout(p.tile))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p, depth = self.parameters, self.depth
        m = Module()
        m.submodules.chunks = chunks = ChunkCounter(p)
        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(self.bits), depth=depth, init=[]
        )
        m.submodules.storage = storage
        read, write = storage.read_port(), storage.write_port()

        active = Signal()
        order = structure(order_layout(), name="order")
        outputs = Signal(17)
        lanes = Signal(range(p.columns + 1))
        with m.Switch(order.layer.weight_bits):
            for bits in p.tile.weight_widths:
                with m.Case(bits):
                    m.d.comb += lanes.eq(p.tile.outputs(bits))
        m.d.comb += [
            self.orders.ready.eq(~active),
            chunks.layer.eq(order.layer.as_value()),
            chunks.window.eq(order.window),
        ]
        given: Aggregate = self.orders.payload
        position = Signal.like(order.beats)  # beats of the group that were given in this chunk
        begins = Signal()  # the counter of chunks begins a cycle behind the order
        m.d.sync += begins.eq(self.orders.valid & self.orders.ready)
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += [active.eq(1), order.eq(given), outputs.eq(given.layer.outputs)]
            m.d.sync += position.eq(0)

        # ---- The ring: beats that are stored, and those of them that are still to be given.
        filled, unread = Signal(range(depth + 1)), Signal(range(depth + 1))
        start = Signal(range(depth))  # of the group
        stores, reads, rewinds, frees = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.beats.ready.eq(filled != depth),
            stores.eq(self.beats.valid & self.beats.ready),
            write.en.eq(stores),
            write.data.eq(self.beats.payload),
            read.en.eq(reads),
            self.weights.payload.eq(read.data),
        ]
        after_read = Mux(read.addr == depth - 1, 0, read.addr + 1)
        place = Signal.like(read.addr)
        m.d.comb += place.eq(Mux(reads, after_read, read.addr))
        with m.If(stores):
            m.d.sync += write.addr.eq(Mux(write.addr == depth - 1, 0, write.addr + 1))
        m.d.sync += [
            read.addr.eq(Mux(rewinds, start, place)),
            filled.eq(
                filled + stores - (reads & ~order.kept) - Mux(frees & order.kept, order.beats, 0)
            ),
            unread.eq(unread + stores - reads + Mux(rewinds, order.beats, 0)),
        ]
        with m.If(frees):
            m.d.sync += start.eq(place)

        # ---- Beats are given; behind the last one of a chunk the next chunk or group begins.
        moves = ~self.weights.valid | self.weights.ready
        waits = Signal()  # all beats were given, and the chunk is not counted yet
        last_beat = Signal()
        m.d.comb += [
            reads.eq(active & ~waits & (unread != 0) & moves),
            last_beat.eq(position == order.beats - 1),
        ]
        with m.If(moves):
            m.d.sync += self.weights.valid.eq(reads)
        decides = Signal()
        counted = chunks.valid & ~begins
        m.d.comb += decides.eq((waits | (reads & last_beat)) & counted)
        with m.If(reads):
            m.d.sync += position.eq(position + 1)
            with m.If(last_beat):
                m.d.sync += waits.eq(1)
        m.d.comb += chunks.begin.eq(begins)
        with m.If(decides):
            m.d.sync += [waits.eq(0), position.eq(0)]
            with m.If(~chunks.last):
                m.d.comb += [chunks.take.eq(1), rewinds.eq(order.kept)]
            with m.Else():
                m.d.comb += frees.eq(1)
                with m.If(outputs <= lanes):
                    m.d.sync += active.eq(0)
                with m.Else():
                    m.d.comb += chunks.begin.eq(1)
                    m.d.sync += outputs.eq(outputs - lanes)
        return m
