"""Single-port memory: a word is read or written in a cycle."""

from amaranth.hdl import Module, Shape, Signal, Value, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component

__all__ = ["SinglePortMemory"]


class SinglePortMemory(Component):
    """Memory with one address: ``depth`` words of ``bits``, without a first value.

    Latency: a word is found in the cycle behind its read. Throughput: a read or a write per cycle.

    Members
    -------
    enable : In
        Read the word, or write it.
    write : In
        Write it.
    address : In
    given : In
        Word to write.
    found : Out
        Word of the last read. It stands until the next one, whatever is written.
    """

    enable: Signal
    write: Signal
    address: Signal
    given: Signal
    found: Signal

    def __init__(self, bits: int, *, depth: int):
        self.depth = depth
        super().__init__(
            {
                "enable": In(1),
                "write": In(1),
                "address": In(range(depth)),
                "given": In(bits),
                "found": Out(bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        storage: memory.Memory[Shape, Value] = memory.Memory(
            shape=unsigned(len(self.given)), depth=self.depth, init=[]
        )
        m.submodules.storage = storage
        read, write = storage.read_port(), storage.write_port()
        m.d.comb += [
            read.addr.eq(self.address),
            read.en.eq(self.enable & ~self.write),
            self.found.eq(read.data),
            write.addr.eq(self.address),
            write.en.eq(self.enable & self.write),
            write.data.eq(self.given),
        ]
        return m
