"""Properties of the sequencer."""

from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, Signal

from adq.rtl.interface import Status
from adq.rtl.pim_tile.sequencer import Sequencer
from adq.verif.signoff.formal.environment import any_values, drive_inputs, hold_offers
from adq.verif.signoff.formal.inside import Inside

__all__ = ["RunsJobs"]


class RunsJobs(Elaboratable):
    """Every accepted job runs its vectors through its row blocks, each vector once and in order,
    with the matching tags. A malformed job gives a single tag with its status, and consumes
    nothing.

    Between two jobs the pipeline has an empty stage, unless the second is malformed.
    """

    def __init__(self, sequencer: Sequencer):
        self.sequencer = sequencer

    def elaborate(self, platform):
        p = self.sequencer.parameters
        m = Module()
        sequencer, tag = self.sequencer, self.sequencer.tag
        inside = Inside(sequencer)
        m.submodules.dut = inside.fragment
        drive_inputs(m, sequencer, leave=("loaded",))
        hold_offers(m, sequencer.jobs, Assume, name="jobs")

        # The feeder: a vector comes when it is fetched, if there is one, and stays until its last
        # plane is taken.
        loaded, arrives = Signal(), any_values(m, 1, name="arrives")
        ends = sequencer.take & sequencer.last
        fetched = sequencer.fetch & arrives & (~loaded | ends)
        m.d.sync += loaded.eq(fetched | (loaded & ~ends))
        m.d.comb += sequencer.loaded.eq(loaded)

        # The job taken last, as the interface describes it.
        job = Signal.like(sequencer.jobs.payload)
        active, vectors, blocks, bank = Signal(), Signal(32), Signal(32), Signal()
        taken = sequencer.jobs.valid & sequencer.jobs.ready
        most = Mux(job.row_blocks > 1, min(p.partial_sums, p.vectors), p.vectors)
        wrong = Signal(Status)
        with m.If((sum(job.weight_bits == n for n in (2, 4, 8, 16))) == 0):
            m.d.comb += wrong.eq(Status.WEIGHT_BITS)
        with m.Elif((job.activation_bits < 1) | (job.activation_bits > p.max_activation_bits)):
            m.d.comb += wrong.eq(Status.ACTIVATION_BITS)
        with m.Elif((job.row_blocks < 1) | (job.row_blocks > p.row_blocks)):
            m.d.comb += wrong.eq(Status.ROW_BLOCKS)
        with m.Elif((job.vectors < 1) | (job.vectors > most)):
            m.d.comb += wrong.eq(Status.VECTORS)
        runs = active & (wrong == Status.OK)
        last_vector, last_block = vectors == 1, blocks == 1

        done = Signal()
        with m.If(active & (wrong != Status.OK)):
            m.d.comb += done.eq(tag.valid)
        with m.Else():
            m.d.comb += done.eq(ends & last_vector & last_block)
        with m.If(ends):
            m.d.sync += vectors.eq(vectors - 1)
            with m.If(last_vector):
                m.d.sync += [vectors.eq(job.vectors), blocks.eq(blocks - 1), bank.eq(~bank)]
        with m.If(done):
            m.d.sync += active.eq(0)
        with m.If(taken):
            m.d.sync += [
                job.eq(sequencer.jobs.payload),
                active.eq(1),
                vectors.eq(sequencer.jobs.payload.vectors),
                blocks.eq(sequencer.jobs.payload.row_blocks),
            ]

        m.d.comb += [
            Assert(sequencer.active == active),
            Assert(sequencer.job_done == done),
            # One at a time, and none is lost: the next is taken when there is room.
            Assert(sequencer.jobs.ready == (~active | done)),
            Assert(~sequencer.take | (runs & loaded & sequencer.advance)),
            Assert(~sequencer.take | sequencer.full.bit_select(bank, 1)),
            Assert(~(sequencer.fetch & ~runs)),
            # Whoever has all that a plane needs takes it.
            Assert(sequencer.take | ~(runs & loaded & sequencer.advance & sequencer.full.all())),
            # No vector is fetched for a job that is not known yet.
            Assert(~loaded | runs),
            Assert(~(fetched & done)),
        ]
        with m.If(tag.valid):
            m.d.comb += [Assert(active), Assert(sequencer.advance), Assert(tag.status == wrong)]
            with m.If(wrong == Status.OK):
                m.d.comb += [
                    Assert(sequencer.take),
                    Assert(tag.zero == sequencer.zero),
                    Assert(tag.first == sequencer.first),
                    Assert(tag.last == sequencer.last),
                    Assert(tag.first_block == (blocks == job.row_blocks)),
                    Assert(tag.last_block == last_block),
                    Assert(tag.last_vector == last_vector),
                    Assert(tag.bank == bank),
                    Assert(
                        tag.negative == (job.signed & (sequencer.index + 1 == job.activation_bits))
                    ),
                    *(
                        Assert(tag.weight_bits[level] == (job.weight_bits == n))
                        for level, n in enumerate(p.weight_widths)
                    ),
                    Assert(sequencer.activation_bits == job.activation_bits),
                ]
            with m.Else():
                m.d.comb += [
                    *(Assert(flag) for flag in (tag.zero, tag.first, tag.last)),
                    *(Assert(flag) for flag in (tag.first_block, tag.last_block)),
                    Assert(tag.weight_bits == 0),
                    Assert(~sequencer.take),
                ]
        with m.Elif(active & (wrong != Status.OK)):
            m.d.comb += Assert(~sequencer.advance)

        # The stage behind a job's last plane is empty.
        ended = Signal()
        with m.If(sequencer.advance):
            m.d.sync += ended.eq(done & tag.valid)
        m.d.comb += [Assert(~(ended & sequencer.take)), Assert(~(ended & loaded))]

        # Inside, for induction.
        vector = inside["vector"]
        with m.If(runs):
            m.d.comb += [
                Assert((vectors >= 1) & (vectors <= job.vectors)),
                Assert((blocks >= 1) & (blocks <= job.row_blocks)),
                Assert(vector == job.vectors - vectors),
                Assert(inside["block"] == job.row_blocks - blocks),
                Assert(inside["last_vector_index"] == job.vectors - 1),
                Assert(inside["last_block_index"] == job.row_blocks - 1),
                Assert(inside["signed"] == job.signed),
                Assert(sequencer.activation_bits == job.activation_bits),
            ]
        with m.Else():
            m.d.comb += [Assert(vector == 0), Assert(inside["block"] == 0)]
        with m.If(active):
            m.d.comb += [Assert(inside["status"] == wrong.as_value())]
            m.d.comb += [
                Assert(
                    inside["weight_bits"][level] == ((job.weight_bits == n) & (wrong == Status.OK))
                )
                for level, n in enumerate(p.weight_widths)
            ]
        m.d.comb += Assert(inside["bank"] == bank)
        m.d.comb += [
            Cover(done & runs & (job.vectors == 2) & (job.row_blocks == min(2, p.row_blocks))),
            Cover(done & ended),
            *(Cover(done & (wrong == status)) for status in Status),
        ]
        return m
