"""Partial sum buffer: sums of a row block wait here for those of the next."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PartialSumBuffer"]


class PartialSumBuffer(wiring.Component):
    """A memory with an entry a vector, read and written in the order of the vectors.

    A read gives its sums in the next cycle, and sees a write of the cycle in which it is asked
    for, so that even blocks of a single vector follow each other without a gap.

    Parameters
    ----------
    width : int
        Bits of an entry.
    depth : int
        Most vectors of a job that has more than one row block.

    Members
    -------
    read, write : In
        Go to the next entry; with ``read_last`` or ``write_last`` back to the first after it.
    sums : ``width`` bits, Out
        Entry read last.
    next_sums : ``width`` bits, In
        Entry to write.

    """

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

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = storage = memory.Memory(
            shape=unsigned(self.width), depth=self.depth, init=[]
        )
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
