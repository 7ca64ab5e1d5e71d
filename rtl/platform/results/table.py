"""Table: activations that are looked up."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.results.drain_settings import RECORD_BITS, TABLE_PLANES
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Table"]

ACTIVATION_BITS = 16
"""Bits of an entry."""

ENTRIES = RECORD_BITS // ACTIVATION_BITS
"""Entries of a record."""


class Table(Component):
    """Looks up one number after another::

        index = number - least number of ``planes`` bits

    The table's records come first, with 8 entries each.

    Latency: ``count + 1`` cycles from a step to its entries. Throughput: an entry per cycle, with
    two more cycles a step.

    Parameters
    ----------
    lanes : int
        Numbers of a step.

    Members
    -------
    start : In
        Expect the records of a layer's table.
    planes, signed : In
        Format of the numbers; at most ``TABLE_PLANES`` bits. They stand while the table is in use,
        and so do the others.
    entry_planes, entry_signed : In
        Format of the entries.
    records : stream, In
        Eight entries of 16 bits, the first one lowest.
    steps : stream of numbers and how many of them count, In
        A step is taken when its entries are.
    entries : stream of signed numbers, Out
        A bit wider than an entry, so that they are signed whatever they were.
    """

    start: Signal
    planes: Signal
    signed: Signal
    entry_planes: Signal
    entry_signed: Signal
    records: Stream
    steps: Stream
    entries: Stream

    def __init__(self, lanes: int):
        self.lanes = lanes
        numbers = data.ArrayLayout(TABLE_PLANES, lanes)
        super().__init__(
            {
                "start": In(1),
                "planes": In(range(TABLE_PLANES + 1)),
                "signed": In(1),
                "entry_planes": In(range(ACTIVATION_BITS + 1)),
                "entry_signed": In(1),
                "records": In(stream.Signature(RECORD_BITS)),
                "steps": In(
                    stream.Signature(
                        data.StructLayout({"numbers": numbers, "count": range(lanes + 1)})
                    )
                ),
                "entries": Out(
                    stream.Signature(data.ArrayLayout(signed(ACTIVATION_BITS + 1), lanes))
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        within = Signal(TABLE_PLANES)
        m.d.comb += within.eq(Cat(self.planes > bit for bit in range(TABLE_PLANES)))

        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(RECORD_BITS), depth=2**TABLE_PLANES // ENTRIES, init=[]
        )
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        record = Signal(range(storage.depth))
        loading = Signal()
        loaded = Signal()
        last = record == within[ENTRIES.bit_length() - 1 :]
        m.d.comb += [
            self.records.ready.eq(loading),
            write.en.eq(self.records.valid & loading),
            write.addr.eq(record),
            write.data.eq(self.records.payload),
        ]
        with m.If(write.en):
            m.d.sync += record.eq(record + 1)
            with m.If(last):
                m.d.sync += [loading.eq(0), loaded.eq(1), record.eq(0)]
        with m.If(self.start):
            m.d.sync += [loading.eq(1), loaded.eq(0), record.eq(0)]

        # Lanes, one after another.
        given: Aggregate = self.steps.payload
        numbers = given.numbers.as_value()
        asked = Signal(range(self.lanes + 1))  # lanes that were read
        reading = Signal()
        read_last = Signal()
        lane = Signal(range(self.lanes))
        inner = Signal(range(ENTRIES))
        index = Signal(TABLE_PLANES)
        sign = Mux(self.signed, within & ~(within >> 1), 0)
        m.d.comb += [
            index.eq((numbers.word_select(asked, TABLE_PLANES) ^ sign) & within),
            read.en.eq(self.steps.valid & loaded & (asked != given.count) & ~self.entries.valid),
            read.addr.eq(index[len(inner) :]),
            self.steps.ready.eq(self.entries.valid & self.entries.ready),
        ]
        m.d.sync += reading.eq(read.en)
        with m.If(read.en):
            m.d.sync += [
                asked.eq(asked + 1),
                lane.eq(asked),
                inner.eq(index),
                read_last.eq(asked + 1 == given.count),
            ]
        entry = Signal(ACTIVATION_BITS)
        value = Signal(ACTIVATION_BITS + 1)
        kept = Signal(ACTIVATION_BITS + 1)
        negative = Signal()
        m.d.comb += [
            kept.eq(Cat(self.entry_planes > bit for bit in range(ACTIVATION_BITS))),
            entry.eq(read.data.word_select(inner, ACTIVATION_BITS)),
            negative.eq(self.entry_signed & (entry & kept & ~(kept >> 1)).any()),
            value.eq(Mux(negative, entry | ~kept, entry & kept)),
        ]
        with m.If(self.entries.valid & self.entries.ready):
            m.d.sync += [self.entries.valid.eq(0), asked.eq(0)]
        with m.If(reading):
            for place in range(self.lanes):
                with m.If(lane == place):
                    m.d.sync += self.entries.payload[place].eq(value)
            with m.If(read_last):
                m.d.sync += self.entries.valid.eq(1)
        return m
