"""Sequencer: control of jobs over row blocks, vectors and planes."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from adq.rtl.interface import Status, job_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Sequencer"]


class Sequencer(Component):
    """Takes jobs and steps the planes of the feeder through the array.

    Latency: the first plane of a job accepted in cycle ``t`` can be taken in cycle ``t + 2``, after
    a cycle that fetches the first vector. The fetch cannot be earlier, because the activation width
    is not known before.
    Throughput: one plane per cycle within a job, without gaps between vectors or row blocks. The
    next job can be accepted in the cycle that takes the last plane.

    Members
    -------
    jobs : stream of :func:`adq.rtl.interface.job_layout`, In
    advance : In
        The pipeline moves in this cycle.
    full : In
        One bit per bank: the bank holds weights.
    loaded, zero, first, last, index : In
        The plane that the feeder offers; see :class:`adq.rtl.pim_tile.feeder.BitPlaneFeeder`.
    activation_bits, fetch, take : Out
        Controls of the feeder.
    tag : :class:`adq.rtl.plane_tag.PlaneTag`, Out
        Tag of the plane taken. It is also valid once for a malformed job, which takes no plane.
    job_done : Out
        The job ends in this cycle.
    active : Out
        A job is in progress.
    """

    jobs: Stream
    advance: Signal
    full: Signal
    loaded: Signal
    zero: Signal
    first: Signal
    last: Signal
    index: Signal
    activation_bits: Signal
    fetch: Signal
    take: Signal
    tag: PlaneTag
    job_done: Signal
    active: Signal

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "jobs": In(stream.Signature(job_layout(parameters))),
                "advance": In(1),
                "full": In(parameters.banks),
                "loaded": In(1),
                "zero": In(1),
                "first": In(1),
                "last": In(1),
                "index": In(range(parameters.max_activation_bits)),
                "activation_bits": Out(range(parameters.max_activation_bits + 1)),
                "fetch": Out(1),
                "take": Out(1),
                "tag": Out(PlaneTag),
                "job_done": Out(1),
                "active": Out(1),
            }
        )

    def status_of(self, job: Aggregate) -> list[tuple[Value, Status]]:
        """Return the validity checks of a job, in priority order, with the status each reports."""
        p = self.parameters
        most_vectors = [job.vectors == 0, job.vectors > p.vectors]
        if p.partial_sums:
            most_vectors.append((job.row_blocks > 1) & (job.vectors > p.partial_sums))
        return [
            (~Cat(job.weight_bits == n for n in p.weight_widths).any(), Status.WEIGHT_BITS),
            (
                (job.activation_bits == 0) | (job.activation_bits > p.max_activation_bits),
                Status.ACTIVATION_BITS,
            ),
            ((job.row_blocks == 0) | (job.row_blocks > p.row_blocks), Status.ROW_BLOCKS),
            (Cat(most_vectors).any(), Status.VECTORS),
        ]

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        job = self.jobs.payload

        # The job in progress.
        status = Signal(Status)
        weight_bits = Signal(len(p.weight_widths))
        signed = Signal()
        last_vector_index = Signal(range(p.vectors))
        last_block_index = Signal(range(p.row_blocks))
        vector = Signal.like(last_vector_index)
        block = Signal.like(last_block_index)
        bank = Signal()

        runs = Signal()
        last_vector = Signal()
        last_block = Signal()
        reported = Signal()
        m.d.comb += [
            runs.eq(self.active & (status == Status.OK)),
            last_vector.eq(vector == last_vector_index),
            last_block.eq(block == last_block_index),
            self.take.eq(runs & self.loaded & self.full.bit_select(bank, 1) & self.advance),
            reported.eq(self.active & (status != Status.OK) & self.advance),
            # The vector after the last one belongs to a job that is not known yet. Fetching only
            # when the pipeline advances leaves a bubble between jobs; the shift-add relies on it.
            self.fetch.eq(runs & ~(self.loaded & last_vector & last_block) & self.advance),
            self.job_done.eq(reported | (self.take & self.last & last_vector & last_block)),
            self.jobs.ready.eq(~self.active | self.job_done),
            self.tag.valid.eq(self.take | reported),
            self.tag.zero.eq(reported | self.zero),
            self.tag.first.eq(reported | self.first),
            self.tag.last.eq(reported | self.last),
            self.tag.negative.eq(signed & (self.index == self.activation_bits - 1)),
            self.tag.first_block.eq(reported | (block == 0)),
            self.tag.last_block.eq(reported | last_block),
            self.tag.last_vector.eq(runs & last_vector),
            self.tag.bank.eq(bank),
            self.tag.weight_bits.eq(weight_bits),
            self.tag["status"].eq(status),  # type checkers take `.status` for a `Status`
        ]

        with m.If(self.take & self.last):
            m.d.sync += vector.eq(vector + 1)
            with m.If(last_vector):
                m.d.sync += [vector.eq(0), block.eq(block + 1), bank.eq(~bank)]
                with m.If(last_block):
                    m.d.sync += block.eq(0)

        with m.If(self.job_done):
            m.d.sync += self.active.eq(0)
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += [
                self.active.eq(1),
                status.eq(Status.OK),
                weight_bits.eq(Cat(job.weight_bits == n for n in p.weight_widths)),
                self.activation_bits.eq(job.activation_bits),
                signed.eq(job.signed),
                last_vector_index.eq(job.vectors - 1),
                last_block_index.eq(job.row_blocks - 1),
            ]
            for wrong, what in reversed(self.status_of(job)):
                with m.If(wrong):
                    m.d.sync += [status.eq(what), weight_bits.eq(0)]
        return m
