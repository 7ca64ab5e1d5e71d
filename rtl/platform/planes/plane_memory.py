"""Plane memory: words of bit planes, read by walkers and by what drains their sums."""

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

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


def _any(values: Sequence[Value]) -> Value:
    """Return the disjunction of values, 0 without any."""
    return functools.reduce(operator.or_, values, Const(0, 1))


def _among(wishes: Sequence[tuple[Value, Value]], bank: Value) -> Value:
    """Return whether a wish that is enabled is for a bank."""
    return _any([enable & (other == bank) for enable, other in wishes])


def _selected(values: Sequence[Value], index: Value) -> Value:
    """Return the value at an index. There are 2**n values, for the n bits of the index."""
    for bit in index:
        values = [Mux(bit, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
    [value] = values
    return value


class PlaneMemory(Component):
    """Stores words of ``rows`` bits in banks, each of which reads a word and writes one in a cycle.

    Neighbouring words lie in different banks, so that a fetch gives two of them: a window of pixels
    that share words may begin anywhere in a word. With more than two banks, the word behind the
    last bank lies in the second one, and so on: what lies a multiple of the banks apart, such as
    the planes of a pixel, is spread, too.

    Where several want a bank in a cycle, one is served and the others wait: fetches come before
    reads, and each of them in the order of their ports. The order is fixed with intent: of two
    walks at the same distance, the later one falls behind until they use different banks, and stays
    there. In turns, they would meet again and again. No port waits forever: a walker that is ahead
    stops when its sums are not drained. The first fetch never waits.

    Latency: words follow a cycle behind their fetch or read. Both see what was written before the
    cycle in which they are taken. Throughput: a fetch of up to two words, a read and a write a
    cycle for each port, if they use different banks.

    Parameters
    ----------
    parameters
        Sizes of the platform. It has a fetch port for each of its units.
    readers, writers : int
        Ports that read, and ports that write.

    Members
    -------
    fetches : array of :func:`fetch_layout`, In
        Words that are asked for in this cycle. Addresses beyond the memory give any word.
    granted : Out
        One bit per fetch port: what it asks for is fetched in this cycle.
    words : array of arrays of two words, Out
        The word at the address of the last fetch of a port, and the word behind it; each stands
        until the next fetch that reads it, if nothing else takes its bank.
    reads : array of streams of addresses, In
    read_words : array of words, Out
        Word of the read that was taken in the cycle before; it stands for one cycle.
    writes : array of streams of :func:`write_layout`, In
    """

    fetches: Sequence[Aggregate]
    granted: Signal
    words: Sequence[Aggregate]
    reads: Sequence[Stream]
    read_words: Sequence[Signal]
    writes: Sequence[Stream]

    def __init__(self, parameters: PlatformParameters, *, readers: int = 1, writers: int = 1):
        self.parameters = p = parameters
        self.bank_log = exact_log2(p.plane_banks)
        write = write_layout(p.address_bits, p.rows)
        super().__init__(
            {
                "fetches": In(fetch_layout(p.address_bits)).array(p.units),
                "granted": Out(p.units),
                "words": Out(data.ArrayLayout(p.rows, 2)).array(p.units),
                "reads": In(stream.Signature(p.address_bits)).array(readers),
                "read_words": Out(p.rows).array(readers),
                "writes": In(stream.Signature(write)).array(writers),
            }
        )

    def place(self, address: Value) -> tuple[Value, Value]:
        """Return the bank of a word, and its place there."""
        low, row = address[: self.bank_log], address[self.bank_log :]
        if self.bank_log < 2:
            return low, row
        return (low + row)[: self.bank_log], row

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        banks = range(p.plane_banks)
        row_bits = max(1, p.address_bits - self.bank_log)
        wanted: list[list[tuple[Value, Value]]] = [[] for _ in banks]

        # Ports compare their banks with each other's, one by one: a fetch's grant waits for no
        # decoder, and a read's for no selection among all banks.

        # ---- Fetches: those of earlier ports come first.
        ports: list[tuple[list[Signal], Signal]] = []
        fetched: list[tuple[Value, Signal]] = []  # whether a word is fetched, and its bank
        asked: list[tuple[Value, Signal]] = []  # whether a word is asked for, and its bank
        for port, fetch in enumerate(self.fetches):
            parts = []
            for number, name in enumerate(("first", "second")):
                bank = Signal(self.bank_log, name=f"fetch_{port}_{name}_bank")
                row = Signal(row_bits, name=f"fetch_{port}_{name}_row")
                found, place = self.place((fetch.address + number)[: p.address_bits])
                m.d.comb += [bank.eq(found), row.eq(place)]
                parts.append((fetch[name], bank, row))
            granted = Signal(name=f"fetch_{port}_granted")
            m.d.comb += granted.eq(
                ~_any([enable & _among(asked, bank) for enable, bank, _ in parts])
            )
            m.d.comb += self.granted[port].eq(granted)
            for enable, bank, row in parts:
                asked.append((enable, bank))
                fetched.append((granted & enable, bank))
                for each in banks:
                    wanted[each].append((granted & enable & (bank == each), row))
            ports.append(([bank for _, bank, _ in parts], granted))

        # ---- Reads of the banks that are left.
        readers: list[Signal] = []
        wishes: list[tuple[Value, Signal]] = []
        for port, read in enumerate(self.reads):
            bank = Signal(self.bank_log, name=f"read_{port}_bank")
            found, read_row = self.place(read.payload)
            m.d.comb += [
                bank.eq(found),
                read.ready.eq(~(_among(fetched, bank) | _among(wishes, bank))),
            ]
            readers.append(bank)
            wishes.append((read.valid, bank))
            for each in banks:
                wanted[each].append((read.valid & read.ready & (bank == each), read_row))

        # ---- Writes: those of earlier ports come first.
        writers: list[tuple[Signal, Value]] = []
        wishes = []
        for port, write in enumerate(self.writes):
            bank = Signal(self.bank_log, name=f"write_{port}_bank")
            found, write_row = self.place(write.payload.address)
            m.d.comb += [bank.eq(found), write.ready.eq(~_among(wishes, bank))]
            writers.append((bank, write_row))
            wishes.append((write.valid, bank))

        outputs: list[Value] = []
        for each in banks:
            storage: memory.Memory[Shape, Value] = memory.Memory(
                shape=unsigned(p.rows), depth=-(-p.plane_memory_words // p.plane_banks), init=[]
            )
            m.submodules[f"bank_{each}"] = storage
            read_port = storage.read_port()
            write_port = storage.write_port(granularity=1)
            m.d.comb += [
                read_port.en.eq(_any([takes for takes, _ in wanted[each]])),
                read_port.addr.eq(_any([Mux(takes, row, 0) for takes, row in wanted[each]])),
            ]
            rows, words, masks = [], [], []
            for write, (bank, write_row) in zip(self.writes, writers, strict=True):
                writes = write.valid & write.ready & (bank == each)
                rows.append(Mux(writes, write_row, 0))
                words.append(Mux(writes, write.payload.word, 0))
                masks.append(Mux(writes, write.payload.mask, 0))
            m.d.comb += [
                write_port.addr.eq(_any(rows)),
                write_port.data.eq(_any(words)),
                write_port.en.eq(_any(masks)),
            ]
            outputs.append(read_port.data)

        # ---- Words of the banks of the last fetch or read.
        for port, (own_banks, granted) in enumerate(ports):
            some = self.fetches[port].first | self.fetches[port].second
            for number, bank in enumerate(own_banks):
                last = Signal(self.bank_log, name=f"fetch_{port}_last_bank_{number}")
                with m.If(granted & some):
                    m.d.sync += last.eq(bank)
                m.d.comb += self.words[port][number].eq(_selected(outputs, last))
        for port, bank in enumerate(readers):
            last = Signal(self.bank_log, name=f"read_{port}_last_bank")
            with m.If(self.reads[port].valid & self.reads[port].ready):
                m.d.sync += last.eq(bank)
            m.d.comb += self.read_words[port].eq(_selected(outputs, last))
        return m
