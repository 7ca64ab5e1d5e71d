"""Drain: from the sums of jobs to activations in the plane memory, or to raw results."""

from amaranth.hdl import Cat, Elaboratable, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from adq.rtl.platform.accumulator_memory import read_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_memory import write_layout
from adq.rtl.platform.planes.plane_writer import PlaneWriter
from adq.rtl.platform.planes.windows import share_layout
from adq.rtl.platform.results import thresholds
from adq.rtl.platform.results.companion import Companion
from adq.rtl.platform.results.drain_settings import RECORD_BITS, drain_layout
from adq.rtl.platform.results.maximum import MaximumPool
from adq.rtl.platform.results.parameter_memory import ParameterMemory
from adq.rtl.platform.results.raw_writer import RawWriter, raw_layout
from adq.rtl.platform.results.requantizer import ACTIVATION_BITS, TOTAL_BITS, Requantizer
from adq.rtl.platform.results.result_order import ResultOrder, step_layout
from adq.rtl.platform.results.skip_reader import SkipReader
from adq.rtl.platform.results.table import Table
from adq.rtl.port_types import Aggregate, Component, Stream, Words, structure

__all__ = ["Drain"]


class Drain(Component):
    """Turns the sums of a layer's jobs into results, while the next job is computed::

        order -+-> accumulator memory -+-> requantizers -+-> maximum -> plane writer
               +-> skip reader --------+                 +-> raw writer
               +-> parameter memory ---+-> thresholds ---+
                                       +-> table --------+

    Each step takes some outputs of a vector, ``requantizers`` of them. Steps come in the order of
    pooling windows, so that maximum pooling needs one register a lane.

    Throughput: a step per cycle. With a skip connection, a step takes a cycle for each of its
    planes, twice that where its channels lie in two words; pixels of a pooling window that lie
    outside of the convolution's output take one. With a table, it takes two cycles more than it has
    outputs; in mode ``RAW``, as many as it has outputs. The plane writer takes a cycle for each
    word of each plane of a pixel.

    Parameters
    ----------
    parameters
        Sizes of the platform.
    gated : bool
        Whether the drain has the port ``works``.

    Members
    -------
    works : In
        Registers stand while this is 0, as in a layer without results for this drain.
    settings : :func:`adq.rtl.platform.results.drain_settings.drain_layout`, In
        They stand while the drain is active.
    start : In
        Begin a layer. The drain must not be active.
    share : :func:`adq.rtl.platform.planes.windows.share_layout`, In
        Windows that are the unit's, if there are several units.
    active : Out
        Results of the layer are still to be written, or its records to come.
    reading : Out
        Sums of jobs are still to be read.
    records : stream, In
        From ``start`` on: parameters of the outputs, in order, or the table.
    finished, read, release, held, sums : as of :class:`adq.rtl.platform.accumulator_memory
        .AccumulatorMemory`, whose ``results`` the sums are
    reads : stream of addresses, Out
        Reads of the plane memory, for the skip connection.
    read_word : word, In
        Word of the read that was taken in the cycle before.
    writes : stream of :func:`adq.rtl.platform.planes.plane_memory.write_layout`, Out
        Writes of some bits of a word into the plane memory.
    raw : stream of :func:`adq.rtl.platform.results.raw_writer.raw_layout`, Out
        Raw results, in mode ``RAW``.
    """

    works: Signal
    settings: Aggregate
    start: Signal
    share: Aggregate
    active: Signal
    reading: Signal
    records: Stream
    finished: Signal
    read: Aggregate
    release: Signal
    held: Signal
    sums: Words
    reads: Stream
    read_word: Signal
    writes: Stream
    raw: Stream

    def __init__(self, parameters: PlatformParameters, *, gated: bool = False):
        self.parameters = p = parameters
        self.gated = gated
        self.sum_bits = p.lane_bits(p.tile.weight_widths[-1])
        share = {"share": In(share_layout())} if p.units > 1 else {}
        super().__init__(
            {
                **({"works": In(1)} if gated else {}),
                **share,
                "settings": In(drain_layout(p)),
                "start": In(1),
                "active": Out(1),
                "reading": Out(1),
                "records": In(stream.Signature(RECORD_BITS)),
                "finished": In(1),
                "read": Out(read_layout(p)),
                "release": Out(1),
                "held": Out(1),
                "sums": In(data.ArrayLayout(signed(self.sum_bits), p.requantizers)),
                "reads": Out(stream.Signature(p.address_bits)),
                "read_word": In(p.rows),
                "writes": Out(stream.Signature(write_layout(p.address_bits, p.rows))),
                "raw": Out(stream.Signature(raw_layout())),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        pipeline: Elaboratable = self.pipeline()
        if self.gated:
            pipeline = EnableInserter(self.works)(pipeline)
        return pipeline

    def pipeline(self) -> Module:
        """Return the logic, whose registers are always clocked."""
        p = self.parameters
        s = self.settings
        m = Module()
        m.submodules.order = order = ResultOrder(p)
        m.submodules.parameters = parameters = ParameterMemory(p)
        m.submodules.table = table = Table(p.requantizers)
        m.submodules.writer = writer = PlaneWriter(p)
        m.submodules.raw_writer = raw_writer = RawWriter(p.requantizers)
        m.submodules.companion = companion = Companion(step_layout(p))
        activations = data.ArrayLayout(signed(thresholds.ACTIVATION_BITS), p.requantizers)
        m.submodules.counted = counted = Companion(data.StructLayout({"activations": activations}))
        connect(m, raw_writer.results, flipped(self.raw))

        if p.units > 1:
            m.d.comb += order.share.eq(self.share)
        m.d.comb += [
            order.settings.eq(s),
            order.start.eq(self.start),
            parameters.start.eq(self.start & ~s.table),
            parameters.weight_bits.eq(s.weight_bits),
            parameters.outputs.eq(s.outputs),
            parameters.group.eq(s.group),
            parameters.records.valid.eq(self.records.valid & ~s.table),
            parameters.records.payload.eq(self.records.payload),
            table.start.eq(self.start & s.table),
            table.planes.eq(s.table_planes),
            table.signed.eq(s.table_signed),
            table.entry_planes.eq(s.planes),
            table.entry_signed.eq(s.signed),
            table.records.valid.eq(self.records.valid & s.table),
            table.records.payload.eq(self.records.payload),
            self.records.ready.eq(Mux(s.table, table.records.ready, parameters.records.ready)),
        ]

        # The mode and each lane's settings are registered here, so that no path leads from the
        # conductor into a lane. A synthesis may merge the equal registers of lanes.
        raw_mode = Signal()
        table_mode = Signal()
        compares = Signal()
        lane_settings = data.StructLayout(
            {name: drain_layout(p)[name].shape for name in
             ("shift", "skip_shift", "planes", "signed", "raw")}
        )  # fmt: skip
        with m.If(self.start):
            m.d.sync += [raw_mode.eq(s.raw), table_mode.eq(s.table), compares.eq(s.thresholds)]

        # ---- A step is read: its skip connection plane by plane, its sums with the last of them.
        m.submodules.skips = skips = SkipReader(p)
        connect(m, skips.reads, flipped(self.reads))
        asked: Aggregate = order.steps.payload
        read_valid = Signal()
        read_moves = Signal()
        read_step = structure(step_layout(p))
        asks = Signal()
        ends = Signal()
        skipping = s.skips & asked.inside
        m.d.comb += [
            asks.eq(order.steps.valid & self.finished & (~read_valid | read_moves)),
            skips.request.eq(asks & skipping),
            skips.address.eq(asked.skip_address),
            skips.offset.eq(asked.skip_offset),
            skips.count.eq(asked.count),
            skips.planes.eq(s.skip.planes),
            skips.signed.eq(s.skip.signed),
            skips.plane_step.eq(s.skip.plane),
            skips.read_word.eq(self.read_word),
            ends.eq(asks & (~skipping | skips.done)),
            order.steps.ready.eq(ends),
            self.read.enable.eq(ends),
            self.read.vector.eq(asked.vector),
            self.read.slice.eq(asked.slice),
            self.release.eq(ends & asked.ends_job),
            self.held.eq(read_valid & ~read_moves),
        ]
        with m.If(~read_valid | read_moves):
            m.d.sync += read_valid.eq(ends)
        with m.If(ends):
            m.d.sync += read_step.eq(asked)

        # ---- Sums and skip connection are registered; parameters are read, and stand beside them.
        step_valid = Signal()
        step_ready = Signal()
        step = structure(step_layout(p))
        sums = Signal.like(self.sums)
        numbers = Signal.like(skips.numbers)
        loaded = Mux(table_mode, 1, parameters.loaded)
        m.d.comb += [
            read_moves.eq(read_valid & loaded & (~step_valid | step_ready)),
            parameters.enable.eq(read_moves & ~table_mode),
            parameters.slice.eq(read_step.slice),
            parameters.release.eq(read_moves & ~table_mode & read_step.ends_group),
        ]
        with m.If(~step_valid | step_ready):
            m.d.sync += step_valid.eq(read_moves)
        # Multipliers whose products do not count keep operands of 0.
        reached = Signal(data.ArrayLayout(signed(thresholds.THRESHOLD_BITS), p.requantizers))
        with m.If(self.start):
            m.d.sync += [sums.eq(0), numbers.eq(0)]
        with m.Elif(read_moves):
            m.d.sync += step.eq(read_step)
            with m.If(compares):
                m.d.sync += [each.eq(given) for each, given in zip(reached, self.sums, strict=True)]
            with m.Else():
                m.d.sync += sums.eq(self.sums)
            with m.If(s.skips):
                m.d.sync += numbers.eq(skips.numbers)

        # ---- Results: of the requantizers, of the thresholds, or of the table.
        requantized: list[Value] = []
        multiplies = step_valid & ~table_mode & ~compares
        for lane in range(p.requantizers):
            m.submodules[f"requantizer_{lane}"] = requantizer = Requantizer(self.sum_bits)
            given: Aggregate = requantizer.accumulators.payload
            own = structure(lane_settings, name=f"settings_{lane}", reset_less=True)
            idle = Signal(name=f"idle_{lane}")  # the records hold thresholds, not multipliers
            with m.If(self.start):
                m.d.sync += [own[name].eq(s[name]) for name in lane_settings.members]
                m.d.sync += idle.eq(s.thresholds)
            read: Aggregate = parameters.parameters[lane]
            m.d.comb += [
                requantizer.accumulators.valid.eq(multiplies),
                given.sum.eq(sums[lane]),
                given.skip.eq(numbers[lane]),
                given.multiplier.eq(Mux(idle, 0, read.multiplier)),
                given.skip_multiplier.eq(Mux(idle, 0, read.skip_multiplier)),
                given.constant.eq(read.constant),
                *(getattr(requantizer, name).eq(own[name]) for name in lane_settings.members),
                requantizer.results.ready.eq(companion.results.ready),
                table.steps.payload.numbers[lane].eq(sums[lane]),
            ]
            m.submodules[f"thresholds_{lane}"] = compared = thresholds.ThresholdLane()
            m.d.comb += [
                compared.sum.eq(reached[lane]),
                compared.thresholds.eq(read.as_value()),
                compared.planes.eq(own.planes),
                compared.signed.eq(own.signed),
                counted.given.payload.activations[lane].eq(compared.activation),
            ]
            result = Signal(signed(TOTAL_BITS), name=f"result_{lane}")
            m.d.comb += result.eq(
                Mux(
                    compares,
                    counted.results.payload.activations[lane],
                    requantizer.results.payload,
                )
            )
            requantized.append(result)
        m.d.comb += [
            companion.given.valid.eq(step_valid & ~table_mode),
            companion.given.payload.eq(step),
            counted.given.valid.eq(step_valid & compares),
            counted.results.ready.eq(companion.results.ready),
            table.steps.valid.eq(step_valid & table_mode),
            table.steps.payload.count.eq(step.count),
            step_ready.eq(Mux(table_mode, table.steps.ready, companion.given.ready)),
        ]

        # ---- Raw results leave one by one; others go into the maximum of their window.
        ended = structure(step_layout(p))
        taken = Signal()
        pools = [MaximumPool() for _ in range(p.requantizers)]
        pooled = pools[0].windows.valid
        m.d.comb += [
            ended.eq(Mux(table_mode, step, companion.results.payload)),
            raw_writer.steps.valid.eq(companion.results.valid & raw_mode),
            raw_writer.steps.payload.count.eq(ended.count),
            raw_writer.steps.payload.place.eq(ended.place),
            companion.results.ready.eq(
                Mux(raw_mode, raw_writer.steps.ready, pools[0].pixels.ready)
            ),
            table.entries.ready.eq(pools[0].pixels.ready),
            taken.eq(pools[0].pixels.valid & pools[0].pixels.ready),
        ]
        least = Cat(s.signed & (s.planes <= bit + 1) for bit in range(ACTIVATION_BITS + 1))
        for lane, pool in enumerate(pools):
            m.submodules[f"pool_{lane}"] = pool
            m.d.comb += [
                raw_writer.steps.payload["values"][lane].eq(requantized[lane]),
                pool.least.eq(least.as_signed()),
                pool.pixels.valid.eq(
                    Mux(table_mode, table.entries.valid, companion.results.valid & ~raw_mode)
                ),
                pool.pixels.payload.value.eq(
                    Mux(table_mode, table.entries.payload[lane], requantized[lane])
                ),
                pool.pixels.payload.inside.eq(ended.inside),
                pool.pixels.payload.last.eq(ended.last_pixel),
                pool.windows.ready.eq(writer.slices.ready),
                writer.slices.payload["values"][lane].eq(pool.windows.payload),
            ]
        pixel: Aggregate = writer.slices.payload
        word_log = exact_log2(p.rows)
        window = structure(step_layout(p))  # the last step of the window that is offered
        with m.If(taken & ended.last_pixel):
            m.d.sync += window.eq(ended)
        m.d.comb += [
            pixel.slice.eq(window.slice),
            pixel.last.eq(window.last_slice),
            pixel.address.eq(window.row + window.place[word_log:]),
            pixel.offset.eq(window.place),
            pixel.outputs.eq(window.outputs),
            writer.slices.valid.eq(pooled),
            writer.planes.eq(s.planes),
            writer.plane_step.eq(s.target.plane),
            self.writes.valid.eq(writer.write_enable),
            self.writes.payload.address.eq(writer.address),
            self.writes.payload.word.eq(writer.word),
            self.writes.payload.mask.eq(writer.mask),
            writer.write_ready.eq(self.writes.ready),
        ]
        m.d.comb += self.reading.eq(order.active)
        m.d.comb += self.active.eq(
            order.active | read_valid | step_valid | companion.busy | pooled | writer.busy
        )
        return m
