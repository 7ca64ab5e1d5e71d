"""Plane memory: words of bit planes, read by the tile's walker and by what drains its sums."""

from amaranth.hdl import Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["PlaneMemory", "fetch_layout", "write_layout"]


def fetch_layout(address_bits: int) -> data.StructLayout:
    """Return the layout of a fetch: an address, and which words are read there."""
    return data.StructLayout(
        {
            "address": address_bits,
            "first": 1,  # the word at the address
            "second": 1,  # the word behind it
        }
    )


def write_layout(address_bits: int, word_bits: int) -> data.StructLayout:
    """Return the layout of a write: bits of a word where ``mask`` is set."""
    return data.StructLayout(
        {
            "address": address_bits,
            "word": word_bits,
            "mask": word_bits,
        }
    )


class PlaneMemory(Component):
    """Stores words of ``rows`` bits in two banks, of even and of odd addresses.

    A bank reads one word and writes one in a cycle. Neighbouring words lie in different banks, so
    that a fetch gives two of them: a window of pixels that share words may begin anywhere in a
    word. Fetches come first: they never wait. A read waits while a fetch takes its bank.

    Latency: words follow a cycle behind their fetch or read. Both see what was written before the
    cycle in which they are taken. Throughput: a fetch of up to two words, a read and a write a
    cycle.

    Members
    -------
    fetch : :func:`fetch_layout`, In
        Words that are fetched in this cycle. Addresses beyond the memory give any word.
    words : array of two words, Out
        The word at the address of the last fetch, and the word behind it; each stands until the
        next fetch that reads it, if no read takes its bank.
    reads : stream of addresses, In
    read_word : word, Out
        Word of the read that was taken in the cycle before; it stands for one cycle.
    write_enable : In
    write : :func:`write_layout`, In
    """

    fetch: Aggregate
    words: Aggregate
    reads: Stream
    read_word: Signal
    write_enable: Signal
    write: Aggregate

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "fetch": In(fetch_layout(p.address_bits)),
                "words": Out(data.ArrayLayout(p.rows, 2)),
                "reads": In(stream.Signature(p.address_bits)),
                "read_word": Out(p.rows),
                "write_enable": In(1),
                "write": In(write_layout(p.address_bits, p.rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        address = self.fetch.address
        odd = address[0]
        # The even word of an odd address is the one behind it.
        rows = (address[1:] + odd, address[1:])
        taken = (
            Mux(odd, self.fetch.second, self.fetch.first),
            Mux(odd, self.fetch.first, self.fetch.second),
        )
        fetched_odd = Signal()
        read_odd = Signal()
        with m.If(self.fetch.first | self.fetch.second):
            m.d.sync += fetched_odd.eq(odd)
        with m.If(self.reads.valid & self.reads.ready):
            m.d.sync += read_odd.eq(self.reads.payload[0])
        m.d.comb += self.reads.ready.eq(Mux(self.reads.payload[0], ~taken[1], ~taken[0]))

        outputs = []
        for parity, (row, takes) in enumerate(zip(rows, taken, strict=True)):
            storage: memory.Memory[Shape, Value] = memory.Memory(
                shape=unsigned(p.rows), depth=-(-(p.plane_memory_words - parity) // 2), init=[]
            )
            m.submodules["odd" if parity else "even"] = storage
            read_port = storage.read_port()
            write_port = storage.write_port(granularity=1)
            reads = self.reads.valid & (self.reads.payload[0] == parity)
            m.d.comb += [
                read_port.en.eq(takes | reads),
                read_port.addr.eq(Mux(takes, row, self.reads.payload[1:])),
                write_port.addr.eq(self.write.address[1:]),
                write_port.data.eq(self.write.word),
            ]
            with m.If(self.write_enable & (self.write.address[0] == parity)):
                m.d.comb += write_port.en.eq(self.write.mask)
            outputs.append(read_port.data)
        even, odd_word = outputs
        m.d.comb += [
            self.words[0].eq(Mux(fetched_odd, odd_word, even)),
            self.words[1].eq(Mux(fetched_odd, even, odd_word)),
            self.read_word.eq(Mux(read_odd, odd_word, even)),
        ]
        return m
