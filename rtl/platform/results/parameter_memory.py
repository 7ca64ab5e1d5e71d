"""Parameter memory: multipliers and constants of two groups of outputs."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.drain_settings import GROUP_BITS, RECORD_BITS, outputs_of
from adq.rtl.port_types import Aggregate, Component, Stream, Words, structure

__all__ = ["ParameterMemory", "output_layout", "record_layout"]


def output_layout() -> data.StructLayout:
    """Return the layout of the parameters of an output."""
    return data.StructLayout(
        {"multiplier": signed(16), "skip_multiplier": signed(16), "constant": signed(64)}
    )


def record_layout() -> data.StructLayout:
    """Return the layout of the parameters of an output in the program's memory."""
    fields = {"multiplier": signed(16), "skip_multiplier": signed(16), "unused": 32}
    return data.StructLayout({**fields, "constant": signed(64)})


class ParameterMemory(Component):
    """Keeps the parameters of a group of outputs, and takes those of the next one.

    Records come in the order of outputs. A group has as many as a tile computes at a time.

    Parameters that were read last are not read again: those of a slice serve all pixels of a
    pooling window, or of the whole group where it has one slice.

    Latency: parameters follow a cycle behind their read. Throughput: a record and a read a cycle.

    Members
    -------
    start : In
        Expect the records of a layer's outputs. What is held must have been released.
    weight_bits, outputs, group : In
        One-hot weight width, outputs of the layer from the tile's first one on, and outputs from
        the first one of a group to that of the next one: other tiles may compute some between. They
        stand until all groups are released.
    records : stream of :func:`record_layout`, In
    loaded : Out
        The group that is read next is there.
    enable, slice : In
        Read the parameters of some outputs, ``requantizers`` at a time.
    release : In
        Free the group that is read. A read in the same cycle is still of that group.
    parameters : array of :func:`output_layout`, Out
        Parameters of the last read.
    """

    start: Signal
    weight_bits: Signal
    outputs: Signal
    group: Signal
    records: Stream
    loaded: Signal
    enable: Signal
    slice: Signal
    release: Signal
    parameters: Words

    def __init__(self, parameters: PlatformParameters):
        self.sizes = p = parameters
        super().__init__(
            {
                "start": In(1),
                "weight_bits": In(len(p.tile.weight_widths)),
                "outputs": In(16),
                "group": In(GROUP_BITS),
                "records": In(stream.Signature(record_layout())),
                "loaded": Out(1),
                "enable": In(1),
                "slice": In(range(p.slices(2))),
                "release": In(1),
                "parameters": Out(data.ArrayLayout(output_layout(), p.requantizers)),
            }
        )
        assert record_layout().size == RECORD_BITS

    def elaborate(self, platform: object) -> Module:
        p = self.sizes
        m = Module()
        slices = p.slices(2)
        filling = Signal()
        draining = Signal()
        full = Signal(2)
        left = Signal(16)  # outputs behind those whose records have come
        group_left = Signal(range(p.tile.lanes + 1))  # and those of the group
        lane = Signal(range(p.requantizers))
        row = Signal(range(slices))
        lanes = Signal(range(p.tile.lanes + 1))
        m.d.comb += lanes.eq(outputs_of(p, self.weight_bits))

        taken = Signal()
        fills = Signal()
        m.d.comb += [
            self.records.ready.eq(left.any() & ~full.bit_select(filling, 1)),
            taken.eq(self.records.valid & self.records.ready),
            fills.eq(taken & ((group_left == 1) | (left == 1))),
            self.loaded.eq(full.bit_select(draining, 1)),
        ]
        with m.If(taken):
            m.d.sync += [left.eq(left - 1), group_left.eq(group_left - 1), lane.eq(lane + 1)]
            with m.If(lane == p.requantizers - 1):
                m.d.sync += [lane.eq(0), row.eq(row + 1)]
        others = Signal(GROUP_BITS)  # outputs that other tiles compute
        m.d.comb += others.eq(self.group - lanes)
        with m.If(fills):
            m.d.sync += left.eq(Mux(left - 1 > others, left - 1 - others, 0))
            m.d.sync += [group_left.eq(lanes), lane.eq(0), row.eq(0)]
        with m.If(self.start):
            m.d.sync += [left.eq(self.outputs), group_left.eq(lanes), lane.eq(0), row.eq(0)]
        m.d.sync += [
            full.eq((full | Mux(fills, 1 << filling, 0)) & ~Mux(self.release, 1 << draining, 0)),
            filling.eq(filling ^ fills),
            draining.eq(draining ^ self.release),
        ]

        last = Signal.like(self.slice)
        held = Signal()
        reads = Signal()
        m.d.comb += reads.eq(self.enable & ~(held & (self.slice == last)))
        with m.If(self.enable):
            m.d.sync += [last.eq(self.slice), held.eq(1)]
        with m.If(self.release):
            m.d.sync += held.eq(0)

        record: Aggregate = self.records.payload
        bits = output_layout().size
        for place in range(p.requantizers):
            storage: memory.Memory[Shape, Value] = memory.Memory(
                shape=unsigned(bits), depth=2 * slices, init=[]
            )
            m.submodules[f"lane_{place}"] = storage
            read, write = storage.read_port(), storage.write_port()
            stored = structure(output_layout(), name=f"stored_{place}")
            m.d.comb += [
                stored.multiplier.eq(record.multiplier),
                stored.skip_multiplier.eq(record.skip_multiplier),
                stored.constant.eq(record.constant),
                write.en.eq(taken & (lane == place)),
                write.addr.eq(row + Mux(filling, slices, 0)),
                write.data.eq(stored),
                read.en.eq(reads),
                read.addr.eq(self.slice + Mux(draining, slices, 0)),
                self.parameters[place].eq(read.data),
            ]
        return m
