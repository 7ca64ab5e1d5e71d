"""Processing-in-memory tile: weight array, feeder, sequencer and shift-add."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import Counter, activation_layout, job_layout, result_layout, weight_layout
from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.pim_tile.counters import PerformanceCounters
from adq.rtl.pim_tile.feeder import BitPlaneFeeder
from adq.rtl.pim_tile.sequencer import Sequencer
from adq.rtl.pim_tile.weight_array import WeightArray, require_generable
from adq.rtl.plane_tag import follow
from adq.rtl.port_types import Component, Stream
from adq.rtl.shift_add.shift_add import ShiftAdd

__all__ = ["Tile"]


class Tile(Component):
    """Computes matrix-vector products, one activation bit plane per cycle::

        jobs --------> sequencer
                           | tag ---------------------------------------+
        activations -> feeder -- plane --> AND --> column counter --> shift-add -> results
        weights -----------------------> storage (two banks)

    Each job selects its own precision. For each of its row blocks, a job consumes one block of
    weights and ``vectors`` activation vectors. It returns ``vectors`` results during the last row
    block. Weights load ahead of their job, as soon as a bank is free.

    Latency: ``parameters.latency(weight_bits)`` cycles from a vector's last plane to its result.
    Throughput: one plane per cycle, and one extra cycle per job; see
    :meth:`adq.rtl.parameters.TileParameters.sequence_cycles`.

    Members
    -------
    jobs : stream of :func:`adq.rtl.interface.job_layout`, In
    weights : stream of :func:`adq.rtl.interface.weight_layout`, In
    activations : stream of :func:`adq.rtl.interface.activation_layout`, In
    results : stream of :func:`adq.rtl.interface.result_layout`, Out
    counter_address : :class:`adq.rtl.interface.Counter`, In
    counter_data : ``counter_bits`` bits, Out
        Value of the addressed counter, in the same cycle (combinational).
    """

    jobs: Stream
    weights: Stream
    activations: Stream
    results: Stream
    counter_address: Signal
    counter_data: Signal

    def __init__(self, parameters: TileParameters):
        require_generable(parameters)
        self.parameters = parameters
        super().__init__(
            {
                "jobs": In(stream.Signature(job_layout(parameters))),
                "weights": In(stream.Signature(weight_layout(parameters))),
                "activations": In(stream.Signature(activation_layout(parameters))),
                "results": Out(stream.Signature(result_layout(parameters))),
                "counter_address": In(Counter),
                "counter_data": Out(parameters.counter_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(p)
        m.submodules.feeder = feeder = BitPlaneFeeder(p)
        m.submodules.weight_array = array = WeightArray(p)
        m.submodules.column_counter = counter = ColumnCounter(p)
        m.submodules.shift_add = shift_add = ShiftAdd(p)
        m.submodules.counters = counters = PerformanceCounters(
            max_planes=p.max_activation_bits, bits=p.counter_bits
        )
        connect(m, flipped(self.jobs), sequencer.jobs)
        connect(m, flipped(self.activations), feeder.activations)
        connect(m, flipped(self.weights), array.weights)
        connect(m, flipped(self.results), shift_add.results)

        advance = Signal()
        m.d.comb += [
            advance.eq(shift_add.advance),
            sequencer.advance.eq(advance),
            sequencer.full.eq(array.full),
            *(
                getattr(sequencer, offered).eq(getattr(feeder, offered))
                for offered in ("loaded", "zero", "first", "last", "index")
            ),
            feeder.activation_bits.eq(sequencer.activation_bits),
            feeder.fetch.eq(sequencer.fetch),
            feeder.take.eq(sequencer.take),
        ]

        # The array does not take an all-zero plane. Only the tag moves on.
        plane = follow(m, sequencer.tag, advance, name="plane_tag")
        m.d.comb += [
            array.plane.eq(feeder.plane),
            array.bank.eq(sequencer.tag.bank),
            array.step.eq(sequencer.take & ~feeder.zero),
            counter.products.eq(array.products),
            shift_add.counts.eq(counter.counts),
            shift_add.tag.eq(plane),
        ]
        # A bank is released when the shift-add takes the counts of its last plane.
        with m.If(advance & plane.valid & plane.last & plane.last_vector):
            m.d.comb += array.release.eq(1 << plane.bank)

        m.d.comb += [
            counters.address.eq(self.counter_address),
            self.counter_data.eq(counters.data),
            counters.job_done.eq(sequencer.job_done),
        ]
        with m.If(sequencer.take):
            m.d.comb += counters.planes_skipped.eq(
                Mux(feeder.first, feeder.skipped, 0) + (feeder.zero & ~feeder.last)
            )
        with m.If(~advance):
            m.d.comb += counters.activity.eq(Counter.STALLED_ON_RESULTS)
        with m.Elif(sequencer.take):
            m.d.comb += counters.activity.eq(Counter.RUNNING)
        with m.Elif(~sequencer.active):
            m.d.comb += counters.activity.eq(Counter.IDLE)
        with m.Elif(feeder.loaded):
            m.d.comb += counters.activity.eq(Counter.STALLED_ON_WEIGHTS)
        with m.Elif(sequencer.fetch & ~self.activations.valid):
            m.d.comb += counters.activity.eq(Counter.STALLED_ON_ACTIVATIONS)
        with m.Else():
            m.d.comb += counters.activity.eq(Counter.SWITCHING_JOBS)
        return m
