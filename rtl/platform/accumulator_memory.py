"""Accumulator memory: sums of the vectors of a job, over all its row blocks."""

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.single_port_memory import SinglePortMemory
from adq.rtl.port_types import Aggregate, Component, Words, structure
from adq.rtl.shift_add.result_register import sums_layout

__all__ = ["BANKS", "AccumulatorMemory", "added_layout", "read_layout", "sum_memories"]

BANKS = PlatformParameters.accumulator_banks


def read_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a read: some outputs of a vector, ``requantizers`` at a time."""
    return data.StructLayout(
        {
            "enable": 1,
            "vector": range(parameters.accumulator_vectors),
            "slice": range(parameters.slices(TileParameters.weight_widths[0])),
        }
    )


def access_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of an access of the memories of a half and bank.

    ``drains`` is a read for the drain, ``reads`` one for what is added.
    """
    return data.StructLayout(
        {"drains": 1, "reads": 1, "writes": 1, "address": range(parameters.accumulator_words)}
    )


def _bank(vector: Value) -> Value:
    """Return the bank in which a vector's sums lie."""
    return vector[0] if len(vector) else Const(0, 1)


def _word_of(words: Sequence[Value], half: Value, bank: Value) -> Value:
    """Return the word of a half and bank.

    The half is chosen first: it stands, while the bank changes from vector to vector.
    """
    by_bank = [Mux(half, words[BANKS + place], words[place]) for place in range(BANKS)]
    word: Value = data.ArrayLayout(len(by_bank[0]), BANKS)(Cat(by_bank))[bank]
    return word


def added_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of the sums of a vector, those of tiles on top of each other added."""
    more = (parameters.stack - 1).bit_length()
    members = sums_layout(parameters.tile).members
    return data.StructLayout({lane: signed(shape.width + more) for lane, shape in members.items()})


def sum_memories(
    parameters: PlatformParameters,
) -> Iterator[tuple[int, int, list[int], int, int]]:
    """Yield the memories of a bank of a half: place among lanes, weight width, lanes, first bit
    and last bit.

    The lanes of a memory are neighbours, of one width. The last bit is exclusive.
    """
    p = parameters
    for first in range(0, p.tile.lanes, p.requantizers):
        near = range(first, min(first + p.requantizers, p.tile.lanes))
        for width in p.tile.weight_widths:
            lanes = [lane for lane in near if p.tile.lane_weight_bits(lane) == width]
            if lanes:
                for low, high in p.sum_pieces(p.lane_bits(width)):
                    yield first // p.requantizers, width, lanes, low, high


class AccumulatorMemory(Component):
    """Adds the sums of a job's row blocks in one half, while the other half is read::

        sums -> register -> + -> half 0, half 1 -> results
                            ^------------'

    A job fills a half; jobs alternate, beginning with half 0. The first row block of a job starts
    from 0. When the last vector of the last row block is stored, the half is finished: it is read
    until it is released.

    A lane has the bits that the widest weights which use it need, ``parameters.lane_bits``. It
    lies in several memories, cut at ``parameters.accumulator_cuts``; those beyond the layer's bits
    and those of lanes that the layer's weights do not use are not clocked. Lanes that are read
    together share memories.

    Each memory has one port: it reads or writes a word in a cycle. A vector's sums are read while
    its own are registered, and are stored in the cycle behind, while those of the next one are
    read: so even and odd vectors have memories of their own. In a job of an odd number of vectors
    the last one is followed by the first, which is even, too. Between row blocks its sums stay in
    registers; those of the last row block are stored.

    Latency: results follow a cycle behind their read. Throughput: a vector and a read per cycle.

    Members
    -------
    sums : :func:`added_layout`, In
        Sums of a vector; lane ``j * weight_bits / 2`` has output ``j``.
    ended : :class:`adq.rtl.plane_tag.PlaneTag`, In
        Tag of the vector. It is taken in each cycle in which the tag is valid. Its half must be
        free when its job begins.
    weight_bits : In
        One-hot weight width of the layer. It changes only while no half is in use, and so do the
        others.
    accumulator_bits : In
        Bits of the layer's sums: results are taken modulo 2 to their power.
    free : Out
        One bit per half: it holds nothing that is needed.
    finished : Out
        The half that is read next holds the sums of a job.
    read : :func:`read_layout`, In
        Read of a finished half.
    release : In
        Free the half that is read. A read in the same cycle is still of that half.
    held : In
        The results of the last read are still needed behind this cycle: their half is not free,
        even if it was released, since its next job reads its own sums.
    results : array of signed numbers, Out
        Outputs of the last read, in the cycle behind it and while they are held; else 0.
    """

    sums: Aggregate
    ended: PlaneTag
    weight_bits: Signal
    accumulator_bits: Signal
    free: Signal
    finished: Signal
    read: Aggregate
    release: Signal
    held: Signal
    results: Words

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        self.widest = p.lane_bits(p.tile.weight_widths[-1])
        super().__init__(
            {
                "sums": In(added_layout(p)),
                "ended": In(PlaneTag),
                "weight_bits": In(len(p.tile.weight_widths)),
                "accumulator_bits": In(7),
                "free": Out(2),
                "finished": Out(1),
                "read": In(read_layout(p)),
                "release": In(1),
                "held": In(1),
                "results": Out(data.ArrayLayout(signed(self.widest), p.requantizers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        widths = p.tile.weight_widths

        # ---- Halves: the one that is filled, the one that is read, and what they hold.

        filling = Signal()
        draining = Signal()
        read_half = Signal()  # half of the last read
        in_use = Signal(2)
        done = Signal(2)
        vector = Signal(range(p.accumulator_vectors))
        ended = self.ended
        ends_job = ended.last_vector & ended.last_block
        with m.If(ended.valid):
            m.d.sync += vector.eq(Mux(ended.last_vector, 0, vector + 1))
            m.d.sync += filling.eq(filling ^ ends_job)

        stored = Signal()  # the registered vector is stored in this cycle
        stored_vector = Signal.like(vector)
        stored_half = Signal()
        stored_first = Signal()
        stored_end = Signal()
        alone = Signal()  # the vector is the last of an odd number
        stored_alone = Signal()
        m.d.comb += alone.eq(ended.last_vector & ~_bank(vector))
        m.d.sync += stored.eq(ended.valid)
        with m.If(ended.valid):
            m.d.sync += [
                stored_vector.eq(vector),
                stored_half.eq(filling),
                stored_first.eq(ended.first_block),
                stored_end.eq(ends_job),
                stored_alone.eq(alone),
            ]
        begun = Mux(ended.valid, 1 << filling, 0)
        finishes = Mux(stored & stored_end, 1 << stored_half, 0)
        released = Mux(self.release, 1 << draining, 0)
        m.d.sync += [
            in_use.eq((in_use & ~released) | begun),
            done.eq((done & ~released) | finishes),
            draining.eq(draining ^ self.release),
        ]
        m.d.comb += [
            self.free.eq(~(in_use | Mux(self.held, 1 << read_half, 0))),
            self.finished.eq(done.bit_select(draining, 1)),
        ]

        # ---- Sums: read of what is stored, register, addition.

        reads_old = Signal()
        keeps = Signal()  # what is stored in this cycle stays in registers
        m.d.comb += [
            reads_old.eq(ended.valid & ~ended.first_block & ~alone),
            keeps.eq(stored & stored_alone & ~stored_end),
        ]

        # Memories that the layer uses, and those that a read needs.
        uses_lanes = {
            width: Cat(self.weight_bits[place] for place in range(index + 1)).any()
            for index, width in enumerate(widths)
        }
        uses_bits = {low: Signal(name=f"uses_{low}") for low in (0, *p.accumulator_cuts)}
        m.d.comb += [uses.eq(self.accumulator_bits > low) for low, uses in uses_bits.items()]
        read_slice = Signal.like(self.read.slice)
        read_bank = Signal()
        read_valid = Signal()  # results are needed
        m.d.sync += read_valid.eq(self.read.enable | self.held)
        with m.If(self.read.enable):
            m.d.sync += [
                read_slice.eq(self.read.slice),
                read_half.eq(draining),
                read_bank.eq(_bank(self.read.vector)),
            ]

        # Accesses of the memories of a half and bank: all of them take one address.
        accesses = {}
        for half, bank in itertools.product(range(2), range(BANKS)):
            access = structure(access_layout(p), name=f"access_{half}_{bank}")
            accesses[half, bank] = access
            of_read = (draining == half) & (_bank(self.read.vector) == bank)
            of_vector = (filling == half) & (_bank(vector) == bank)
            of_stored = (stored_half == half) & (_bank(stored_vector) == bank)
            m.d.comb += [
                access.drains.eq(self.read.enable & of_read),
                access.reads.eq(reads_old & of_vector),
                access.writes.eq(stored & ~keeps & of_stored),
                access.address.eq(
                    Mux(
                        access.writes,
                        stored_vector,
                        Mux(access.drains, self.read.vector, vector),
                    )
                    >> 1
                ),
            ]

        sums = {}  # by lane: the sum that is given, as wide as the lane
        totals = {}  # by lane: the sum that is stored
        new: dict[int, list[Value]] = {}  # by lane, low bits first: the sum that is registered
        old: dict[int, list[Value]] = {}  # and what is added to it
        words: dict[int, list[list[Value]]] = {}  # and what was read, by half and bank
        for lane in range(p.tile.lanes):
            shape = signed(p.lane_bits(p.tile.lane_weight_bits(lane)))
            sums[lane] = Signal(shape, name=f"sum_{lane}")
            totals[lane] = Signal(shape, name=f"total_{lane}")
            new[lane], old[lane], words[lane] = [], [], [[] for _ in range(2 * BANKS)]
            m.d.comb += sums[lane].eq(self.sums[str(lane)])
        for group, width, lanes, low, high in sum_memories(p):
            bits = high - low
            name = f"{lanes[0]}_{low}"
            uses = Signal(name=f"uses_{name}")
            m.d.comb += uses.eq(uses_lanes[width] & uses_bits[low])
            wanted = Cat(
                self.weight_bits[widths.index(n)] & (self.read.slice == place)
                for n in widths
                if n <= width
                for place in range(p.slices(n))
                if group in self.groups(n, place)
            ).any()
            registered = Signal(bits * len(lanes), name=f"new_{name}")
            kept = Signal(bits * len(lanes), name=f"kept_{name}")
            total = Cat(totals[lane][low:high] for lane in lanes)
            # Bits that the layer does not use hold what another layer left. They count as 0, so
            # that no carry switches them.
            used = registered if low == 0 else Mux(uses, registered, 0)
            adds = Signal(name=f"adds_{name}")
            m.d.comb += adds.eq(uses & ~stored_first)
            with m.If(ended.valid & uses):
                m.d.sync += registered.eq(Cat(sums[lane][low:high] for lane in lanes))
            with m.If(keeps & uses):
                m.d.sync += kept.eq(total)
            read: list[Value] = []
            for (half, bank), access in accesses.items():
                storage = SinglePortMemory(bits * len(lanes), depth=p.accumulator_words)
                m.submodules[f"half_{half}_{bank}_{name}"] = storage
                drains, reads, writes = access.drains & wanted, access.reads, access.writes
                m.d.comb += [
                    storage.enable.eq((drains | reads | writes) & uses),
                    storage.write.eq(writes),
                    storage.address.eq(access.address),
                    storage.given.eq(total),
                ]
                read.append(storage.found)
            before = _word_of(read, stored_half, _bank(stored_vector))
            for place, lane in enumerate(lanes):
                part = slice(place * bits, (place + 1) * bits)
                new[lane].append(used[part])
                old[lane].append(Mux(adds, Mux(stored_alone, kept[part], before[part]), 0))
                for number, word in enumerate(read):
                    words[lane][number].append(word[part])
        for lane, whole in totals.items():
            m.d.comb += whole.eq(Cat(new[lane]) + Cat(old[lane]))

        # ---- Results of a read.

        below = Signal(self.widest)
        top = below & ~(below >> 1)
        m.d.comb += below.eq(Cat(self.accumulator_bits > bit for bit in range(self.widest)))
        for place in range(p.requantizers):
            found = Signal(signed(self.widest), name=f"found_{place}")
            choices: list[Value] = []
            for index, n in enumerate(widths):
                for which in range(p.slices(n)):
                    output = which * p.requantizers + place
                    if output < p.tile.outputs(n):
                        lane = output * n // 2
                        word = Signal(sums[lane].shape(), name=f"word_{place}_{n}_{which}")
                        whole_words = [Cat(pieces) for pieces in words[lane]]
                        m.d.comb += word.eq(_word_of(whole_words, read_half, read_bank))
                        chosen = self.weight_bits[index] & (read_slice == which) & read_valid
                        choices.append(Mux(chosen, word, 0))
            m.d.comb += found.eq(functools.reduce(operator.or_, choices, Const(0)))
            sign = (found & top).any()
            m.d.comb += self.results[place].eq(Mux(sign, found | ~below, found & below))
        return m

    def groups(self, weight_bits: int, place: int) -> set[int]:
        """Return the groups of lanes that a slice of the outputs of a vector lies in."""
        p = self.parameters
        first = place * p.requantizers
        outputs = range(first, min(first + p.requantizers, p.tile.outputs(weight_bits)))
        return {output * weight_bits // 2 // p.requantizers for output in outputs}
