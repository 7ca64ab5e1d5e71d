"""Weight buffer: keeps the weights of groups of outputs, and replays them for each chunk."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import memory, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import weight_layout
from adq.rtl.platform.grid.share import places
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.weight_loader import OUTPUT_BITS, chunks_layout, order_layout
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["WeightBuffer"]


class WeightBuffer(Component):
    """Stores beats of weights in a ring, and gives them to the tiles of a column::

        beats -> ring -> weights of the tiles that compute with the block
                   ^ replayed for each chunk, where a group is kept

    A group that fits into half of the ring comes once, and is replayed for each chunk of pooling
    windows, while the next one comes. Beats of larger groups are given once, as they come.

    Blocks lie in the order of the program: row block, part of the outputs, tile of the stack. A
    block goes to all units of its part which have windows in the chunk: each of them takes a beat
    when it has room, and the next beat follows the last of them. A block of a part without outputs
    goes to none.

    Throughput: a beat in and a beat out a cycle, also from one group to the next.

    Members
    -------
    orders : stream of :func:`adq.rtl.platform.weights.weight_loader.order_layout`, In
    chunks : stream of :func:`adq.rtl.platform.weights.weight_loader.chunks_layout`, In
        Windows of the layer of the order before. With several units, beats wait for them.
    beats : stream, In
        Beats of the tiles' weight ports, in the order of orders.
    weights : array of streams of :func:`adq.rtl.interface.weight_layout`, Out
        Those of the column's tile of each unit.
    """

    orders: Stream
    chunks: Stream
    beats: Stream
    weights: Sequence[Stream]

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        self.bits = weight_layout(p.tile).size
        self.depth = 2 * 8192 * p.weight_buffer_kib // self.bits
        super().__init__(
            {
                "orders": In(stream.Signature(order_layout())),
                "chunks": In(stream.Signature(chunks_layout(p))),
                "beats": In(stream.Signature(self.bits)),
                "weights": Out(stream.Signature(weight_layout(p.tile))).array(p.units),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p, depth = self.parameters, self.depth
        m = Module()
        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(self.bits), depth=depth, init=[]
        )
        m.submodules.storage = storage
        read, write = storage.read_port(), storage.write_port()

        # ---- The layer: first its order, then its windows.
        active = Signal()
        counted = Signal()
        order = structure(order_layout(), name="order")
        counts = structure(chunks_layout(p), name="counts")
        outputs = Signal(OUTPUT_BITS)  # from the group on
        windows = structure(chunks_layout(p), name="remaining")  # from the chunk on
        position = Signal.like(order.beats)  # beats of the group that were given in this chunk
        given: Aggregate = self.orders.payload
        m.d.comb += [
            self.orders.ready.eq(~active),
            self.chunks.ready.eq(active & ~counted),
        ]
        with m.If(self.chunks.valid & self.chunks.ready):
            m.d.sync += [
                counted.eq(1), counts.eq(self.chunks.payload), windows.eq(self.chunks.payload)
            ]  # fmt: skip

        # ---- The ring: beats that are stored, and those of them that are still to be given.
        filled = Signal(range(depth + 1))
        unread = Signal(range(depth + 1))
        start = Signal(range(depth))  # of the group
        stores = Signal()
        reads = Signal()
        rewinds = Signal()
        frees = Signal()
        m.d.comb += [
            self.beats.ready.eq(filled != depth),
            stores.eq(self.beats.valid & self.beats.ready),
            write.en.eq(stores),
            write.data.eq(self.beats.payload),
            read.en.eq(reads),
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

        # ---- Beats are given. Units that have not taken the beat yet are pending.
        pending = Signal(p.units)
        ready = Cat(each.ready for each in self.weights)
        moves = ~(pending & ~ready).any()
        waits = Signal()  # all beats were given, and the windows are not counted yet
        last_beat = Signal()
        m.d.comb += [
            reads.eq(active & ~waits & (counted if p.units > 1 else 1) & (unread != 0) & moves),
            last_beat.eq(position == order.beats - 1),
        ]
        for number, each in enumerate(self.weights):
            m.d.comb += [each.valid.eq(pending[number]), each.payload.eq(read.data)]
        m.d.sync += pending.eq(pending & ~ready)
        with m.If(reads):
            m.d.sync += position.eq(position + 1)
            with m.If(last_beat):
                m.d.sync += waits.eq(1)

        # ---- Behind the last beat of a chunk the next chunk or group begins.
        decides = Signal()
        last_chunk = windows.windows <= counts.chunk
        m.d.comb += decides.eq((waits | (reads & last_beat)) & counted)
        following = Signal(OUTPUT_BITS)
        m.d.comb += following.eq(outputs)
        with m.If(decides):
            m.d.sync += [waits.eq(0), position.eq(0)]
            with m.If(~last_chunk):
                m.d.comb += rewinds.eq(order.kept)
                for name in ("windows", "rest"):
                    left = windows[name]
                    m.d.sync += left.eq(Mux(left > counts.chunk, left - counts.chunk, 0))
            with m.Else():
                m.d.comb += [frees.eq(1), following.eq(outputs - order.group)]
                m.d.sync += windows.eq(counts)
                with m.If(outputs <= order.group):
                    m.d.sync += [active.eq(0), counted.eq(0)]
        m.d.sync += outputs.eq(following)
        if p.units > 1:
            takes = self.takers(m, order, windows, following, reads=reads, decides=decides)
        else:
            takes = Value.cast(1)
        with m.If(reads):
            m.d.sync += pending.eq(takes)
        with m.If(self.orders.valid & self.orders.ready):
            m.d.sync += [active.eq(1), order.eq(given), outputs.eq(given.outputs), position.eq(0)]
        return m

    def takers(
        self,
        m: Module,
        order: Aggregate,
        windows: Aggregate,
        outputs: Value,
        *,
        reads: Value,
        decides: Value,
    ) -> Value:
        """Return which units take the beat that is read.

        Parameters
        ----------
        order, windows
            The layer, and its windows from the chunk on.
        outputs
            Outputs from the group on that begins, if ``decides``.
        reads, decides
            A beat is read; a chunk or a group begins behind it.

        """
        p = self.parameters
        beat = Signal(range(p.tile.weight_beats))
        place = Signal(range(p.stack))
        part = Signal(8)
        left = Signal(OUTPUT_BITS)  # outputs from the part on
        of_part = Signal(OUTPUT_BITS)  # outputs of the part
        with m.Switch(order.weight_bits):
            for bits in p.tile.weight_widths:
                with m.Case(bits):
                    m.d.comb += of_part.eq(p.tile.outputs(bits) * p.tile_columns)
        with m.If(reads):
            m.d.sync += beat.eq(beat + 1)
            with m.If(beat == p.tile.weight_beats - 1):
                m.d.sync += [beat.eq(0), place.eq(place + 1)]
                with m.If(~order.stacked | (place == p.stack - 1)):
                    m.d.sync += [
                        place.eq(0), part.eq(part + 1),
                        left.eq(Mux(left > of_part, left - of_part, 0)),
                    ]  # fmt: skip
                    with m.If(part == order.split - 1):
                        m.d.sync += [part.eq(0), left.eq(outputs)]
        with m.If(decides):
            m.d.sync += left.eq(outputs)
        with m.If(self.orders.valid & self.orders.ready):
            given: Aggregate = self.orders.payload
            m.d.sync += left.eq(given.outputs)

        takes = []
        for number in range(p.units):
            cluster, of_stack = divmod(number, p.stack)
            its_part = Signal(8)
            its_windows = Signal(range(p.units))
            with m.Switch(Cat(order.stacked, order.split)):
                for stacked, split, of_outputs, of_windows in places(p, cluster, of_stack):
                    with m.Case(stacked | split << 1):
                        m.d.comb += [its_part.eq(of_outputs), its_windows.eq(of_windows)]
            some = Mux(its_windows == windows.full, windows.rest != 0, its_windows < windows.full)
            takes.append(
                some & (left != 0) & (part == its_part) & (~order.stacked | (place == of_stack))
            )
        return Cat(each[0] for each in takes)
