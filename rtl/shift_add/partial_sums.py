"""Partial sum buffer: memory for the sums of a row block until the next row block."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component

__all__ = ["PartialSumBuffer"]


class PartialSumBuffer(Component):
    """Stores one entry per vector, read and written in vector order.

    Latency: a read in cycle ``t`` outputs its entry in cycle ``t + 1``. It returns the new value
    if the entry is written in cycle ``t``, so row blocks of a single vector need no gap.
    Throughput: one read and one write per cycle.

    Parameters
    ----------
    width : int
        Bits per entry.
    depth : int
        Number of entries: the maximum number of vectors of a job with several row blocks.

    Members
    -------
    read, write : In
        Read or write the current entry and move to the next one. Both have their own entry pointer.
    read_last, write_last : In
        The access is the last of its row block: move to the first entry after it.
    sums : ``width`` bits, Out
        Entry of the last read.
    next_sums : ``width`` bits, In
        Entry to write.

    """

    read: Signal
    read_last: Signal
    sums: Signal
    write: Signal
    write_last: Signal
    next_sums: Signal

    def __init__(self, *, width: int, depth: int):
        self.width = width
        self.depth = depth
        super().__init__(
            {
                "read": In(1),
                "read_last": In(1),
                "sums": Out(width),
                "write": In(1),
                "write_last": In(1),
                "next_sums": In(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(self.width), depth=self.depth, init=[]
        )
        m.submodules.memory = storage
        write_port = storage.write_port()
        read_port = storage.read_port(transparent_for=(write_port,))
        m.d.comb += [
            read_port.en.eq(self.read),
            self.sums.eq(read_port.data),
            write_port.en.eq(self.write),
            write_port.data.eq(self.next_sums),
        ]
        for name, port, move, last in (
            ("read_entry", read_port, self.read, self.read_last),
            ("write_entry", write_port, self.write, self.write_last),
        ):
            entry = Signal(range(self.depth), name=name)
            m.d.comb += port.addr.eq(entry)
            with m.If(move):
                m.d.sync += entry.eq(Mux(last, 0, entry + 1))
        return m
