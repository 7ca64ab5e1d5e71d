"""Properties of the accumulator memory."""

from amaranth.hdl import Assert, Assume, Const, Cover, Elaboratable, Module, Mux, Signal, signed

from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.verif.signoff.formal.environment import any_value, drive_inputs
from adq.verif.signoff.formal.inside import Inside

__all__ = ["KeepsSums"]


class KeepsSums(Elaboratable):
    """A read gives the sum of what was added to its vector in all row blocks of its job.

    One vector of one half is watched, which are unknown, in the lane that all weight widths use:
    what holds for it holds for all. Jobs have any number of row blocks and vectors, and begin as
    soon as their half is free. Each lane is a memory of its own, of one slice.
    """

    def __init__(self, memory: AccumulatorMemory):
        assert memory.parameters.requantizers == 1
        assert memory.widest == 16
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
        filling, draining, address = (inside[n] for n in ("filling", "draining", "address"))
        in_use, done = inside["in_use"], inside["done"]
        stored, stored_half, stored_end, stored_address = (
            inside[n] for n in ("stored", "stored_half", "stored_end", "stored_address")
        )
        job_open, block_open = Signal(), Signal()
        first, last = Signal(), Signal()
        known = Signal()  # the watched vector has a sum of this job
        added = Signal()  # of more than one row block
        watched = Signal()
        m.d.comb += watched.eq(ended.valid & (filling == half) & (address == vector))
        with m.If(ended.valid):
            m.d.comb += [
                Assume(job_open | (memory.free.bit_select(filling, 1) & ended.first_block)),
                Assume(~job_open | block_open | ~ended.first_block),
                Assume(~block_open | ((ended.first_block == first) & (ended.last_block == last))),
                # No more vectors than half of the memory holds, nor than the job began with.
                Assume(ended.last_vector | (address < vectors - 1)),
                Assume(~watched | ended.first_block | known),
            ]
            m.d.sync += [
                job_open.eq(~(ended.last_vector & ended.last_block)),
                block_open.eq(~ended.last_vector),
                first.eq(ended.first_block),
                last.eq(ended.last_block),
            ]
            with m.If((filling == half) & ~job_open):
                m.d.sync += known.eq(address == vector)
        m.d.comb += Assume(~(read.enable | memory.release) | memory.finished)

        # ---- The watched sum.
        given = Signal(signed(memory.widest))
        total = Signal(memory.widest, reset_less=True)
        m.d.comb += given.eq(memory.sums["0"])
        with m.If(watched):
            m.d.sync += [
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
        pending = stored & (stored_half == half) & (stored_address == vector)
        content = Signal(memory.widest)
        contents = []
        for each in range(2):
            word = Signal(memory.widest, name=f"content_{each}")
            inside.fragment.find_subfragment(f"half_{each}_0_0").read_port(
                domain="comb", addr=vector, data=word, en=Const(1), transparent_for=()
            )
            contents.append(word)
        m.d.comb += content.eq(Mux(half, contents[1], contents[0]))
        with m.If(known):
            m.d.comb += Assert(Mux(pending, inside["total_0"].as_unsigned(), content) == total)
        with m.If(expects):
            m.d.comb += [
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
