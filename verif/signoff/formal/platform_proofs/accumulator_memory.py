"""Properties of the accumulator memory."""

import itertools

from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    Const,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    signed,
)
from amaranth.lib import data

from adq.rtl.platform.accumulator_memory import BANKS, AccumulatorMemory, sum_memories
from adq.verif.signoff.formal.environment import any_value, drive_inputs
from adq.verif.signoff.formal.inside import Inside

__all__ = ["KeepsSums"]


class KeepsSums(Elaboratable):
    """A read gives the sum of what was added to its vector in all row blocks of its job.

    One vector of one half is watched, which are unknown, in the lane that all weight widths use:
    what holds for it holds for all. Jobs have any number of row blocks and vectors, and begin as
    soon as their half is free. Each lane has memories of its own, cut at one bit.
    """

    def __init__(self, memory: AccumulatorMemory):
        assert memory.parameters.requantizers == 1
        memories = sum_memories(memory.parameters)
        self.pieces = [(low, high) for _, _, lanes, low, high in memories if lanes == [0]]
        assert self.pieces == [(0, 14), (14, memory.widest)]
        self.memory = memory

    def elaborate(self, platform):
        m = Module()
        memory = self.memory
        vectors = memory.parameters.accumulator_vectors
        inside = Inside(memory)
        m.submodules.dut = inside.fragment
        drive_inputs(m, memory, leave=("weight_bits", "accumulator_bits"))
        ended, read = memory.ended, memory.read

        width = any_value(m, range(4), name="width")
        bits = any_value(m, 5, name="bits")
        vector = any_value(m, range(vectors), name="vector")
        half = any_value(m, 1, name="half")
        m.d.comb += [
            Assume((bits > 0) & (bits <= memory.widest)),
            Assume(vector < vectors),
            memory.weight_bits.eq(1 << width),
            memory.accumulator_bits.eq(bits),
        ]

        # ---- Jobs, as the walker begins them.
        filling, draining, address = (inside[n] for n in ("filling", "draining", "vector"))
        in_use, done = inside["in_use"], inside["done"]
        stored, stored_half, stored_end, stored_vector = (
            inside[n] for n in ("stored", "stored_half", "stored_end", "stored_vector")
        )
        job_open, block_open = Signal(), Signal()
        first, last = Signal(), Signal()
        end = Signal(range(vectors))  # last vector of the job's row blocks
        known = Signal()  # the watched vector has a sum of this job
        added = Signal()  # of more than one row block
        watched = Signal()
        m.d.comb += watched.eq(ended.valid & (filling == half) & (address == vector))
        with m.If(ended.valid):
            m.d.comb += [
                Assume(job_open | (memory.free.bit_select(filling, 1) & ended.first_block)),
                Assume(~job_open | block_open | ~ended.first_block),
                Assume(~block_open | ((ended.first_block == first) & (ended.last_block == last))),
                # No more vectors than half of the memory holds; as many in each row block.
                Assume(ended.last_vector | (address < vectors - 1)),
                Assume(ended.first_block | (ended.last_vector == (address == end))),
            ]
            m.d.sync += [
                job_open.eq(~(ended.last_vector & ended.last_block)),
                block_open.eq(~ended.last_vector),
                first.eq(ended.first_block),
                last.eq(ended.last_block),
            ]
            with m.If((filling == half) & ~job_open):
                m.d.sync += known.eq(address == vector)
            with m.If(ended.first_block):
                m.d.sync += end.eq(address)
        m.d.comb += Assume(~(read.enable | memory.release) | memory.finished)

        # ---- The watched sum.
        given = Signal(signed(memory.widest))
        total = Signal(memory.widest, reset_less=True)
        m.d.comb += given.eq(memory.sums["0"])
        in_register = Signal()  # rather than in a memory
        with m.If(watched):
            m.d.sync += [
                in_register.eq(inside["alone"] & ~ended.last_block),
                known.eq(1),
                added.eq(~ended.first_block),
                total.eq(Mux(ended.first_block, given, total + given)),
            ]
        expects = Signal()
        reads = Signal()
        m.d.comb += reads.eq(
            read.enable & (read.slice == 0) & (draining == half) & (read.vector == vector) & known
        )
        # Results stand while they are held.
        m.d.sync += expects.eq(reads | (expects & memory.held & ~read.enable))
        result = memory.results[0]
        below = (Const(1, 17) << bits) - 1
        with m.If(expects):
            m.d.comb += [
                Assert(((result ^ total) & below[: memory.widest]) == 0),
                Assert(
                    (result >> (bits - 1).as_unsigned() == 0)
                    | (result >> (bits - 1).as_unsigned() == -1)
                ),
            ]

        # ---- What induction needs to know: where the sum is, and which jobs there are.
        pending = stored & (stored_half == half) & (stored_vector == vector)
        words = []
        for each, bank in itertools.product(range(2), range(BANKS)):
            for low, high in self.pieces:
                memory_name = f"half_{each}_{bank}_0_{low}"
                word = Signal(high - low, name=memory_name)
                words.append(word)
                inside.fragment.find_subfragment(memory_name).find_subfragment("storage").read_port(
                    domain="comb", addr=vector[1:], data=word, en=Const(1), transparent_for=()
                )
        contents = data.ArrayLayout(memory.widest, 2 * BANKS)(Cat(words))
        kept = Cat(inside[f"kept_0_{low}"] for low, _ in self.pieces)
        content = Mux(in_register, kept, contents[Cat(vector[0], half)])
        used = Mux(bits > self.pieces[1][0], -1, (1 << self.pieces[1][0]) - 1)
        found = Mux(pending, inside["total_0"].as_unsigned(), content)
        stored_alone = inside["stored_alone"]
        with m.If(known):
            m.d.comb += Assert(((found ^ total) & used)[: memory.widest] == 0)
        with m.If(known & in_register):
            m.d.comb += [
                Assert(job_open & (filling == half)),
                Assert((vector == end) & ~vector[0]),
            ]
        sized = job_open & ~(block_open & first)  # the vectors of the open job are known
        fills = job_open & (filling == half)
        own = known & sized & fills
        keeps = stored_alone & ~stored_end
        m.d.comb += [
            Assert(~(known & pending) | (in_register == keeps)),
            Assert(~(sized & fills) | (known == (vector <= end))),
            Assert(~(fills & ~sized) | (known == (vector < address))),
            Assert(~(known & fills & ~sized) | ~in_register),
            Assert(~own | (in_register == ((vector == end) & ~vector[0]))),
            Assert(~(sized & block_open) | (address <= end)),
            Assert(~sized | (end < vectors)),
        ]
        # The vector that is stored is the one before: it lies in the other bank, or in registers.
        with m.If(stored & ~stored_end):
            with m.If(block_open):
                m.d.comb += Assert((stored_vector + 1 == address) & ~stored_alone)
            with m.Else():
                m.d.comb += Assert(sized & (stored_vector == end) & (stored_alone == ~end[0]))
        with m.If(expects):
            m.d.comb += [
                Assert(inside["read_valid"]),
                Assert(inside["read_half"] == half),
                Assert(inside["read_slice"] == 0),
                Assert(~((filling == half) & job_open)),
                Assert(~(stored & (stored_half == half))),
            ]
        ending = stored & stored_end
        waiting = done.bit_select(0, 1) + done.bit_select(1, 1) + ending
        m.d.comb += [
            Assert(waiting <= 2),
            Assert((filling ^ draining) == waiting[0]),
            Assert((waiting == 0) | in_use.bit_select(draining, 1)),
            Assert((waiting < 2) | in_use.all()),
            Assert((done & ~in_use) == 0),
            Assert(done.bit_select(draining, 1) | ~done.any()),
            Assert(~job_open | (in_use.bit_select(filling, 1) & ~done.bit_select(filling, 1))),
            Assert(in_use.bit_select(0, 1) + in_use.bit_select(1, 1) == waiting + job_open),
            Assert(~stored | ~done.bit_select(stored_half, 1)),
            Assert(~stored | in_use.bit_select(stored_half, 1)),
            Assert(~ending | ((stored_half != filling) & ~job_open)),
            Assert(~stored | stored_end | (stored_half == filling)),
            Assert(block_open | (address == 0)),
            Assert(~block_open | job_open),
            Assert(address < vectors),
        ]
        m.d.comb += [Cover(expects & added & (vector == v)) for v in range(vectors)]
        return m
