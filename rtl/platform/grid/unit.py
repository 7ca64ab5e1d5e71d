"""Unit: a row of tiles on one stream of planes, and what follows their sums."""

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.accumulator_memory import AccumulatorMemory, added_layout
from adq.rtl.platform.grid.share import Share, work_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.plane_tile import PlaneTile
from adq.rtl.platform.planes.plane_aligner import PlaneAligner
from adq.rtl.platform.planes.plane_memory import fetch_layout, write_layout
from adq.rtl.platform.planes.walk_layouts import walk_layout
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.platform.results.drain import Drain
from adq.rtl.platform.results.drain_settings import RECORD_BITS, drain_layout
from adq.rtl.platform.results.raw_writer import raw_layout
from adq.rtl.port_types import Aggregate, Component, Stream, structure
from adq.rtl.shift_add.result_register import sums_layout

__all__ = ["Unit"]


class Unit(Component):
    """Walks the pixels of its share of a layer; its tiles compute different outputs of them::

        walker --> plane memory --> aligner --> tile 0 --> accumulator memory --> drain
                                            +-> tile 1 --> accumulator memory --> drain
                                            ...

    Tiles take their planes in the same cycles. The walker waits until all of them have weights and
    room for sums.

    In a stack, units that share row blocks also walk in the same cycles, and the sums of all of
    them are stored by the first one. Where one of them has to wait for the plane memory, the words
    of the others are kept for it.

    Parameters
    ----------
    parameters
        Sizes of the platform.
    cluster, place : int
        Place of the unit: its cluster, and its place in it.

    Members
    -------
    walk : :func:`adq.rtl.platform.planes.walker.walk_layout`, In
    drain : :func:`adq.rtl.platform.results.drain_settings.drain_layout`, In
    work : :func:`adq.rtl.platform.grid.share.work_layout`, In
        How the layer is spread. It and all settings stand from three cycles before ``start`` until
        the layer has ended.
    start : In
        Begin a layer. The unit must not be active.
    active : Out
        Results of its share are still to be written.
    fetching, starved : Out
        A plane is fetched; the walker waits for weights.
    part : Out
        Part of the outputs that is the unit's.
    works : Out
        One bit per column: it computes results of the layer.
    fetch, granted, words : port of :class:`adq.rtl.platform.planes.plane_memory.PlaneMemory`
    reads, read_words, writes : its ports of each column's drain
    weights, records, raw : streams of each column
        Weight blocks of its tile, in the order of the program; records of its outputs; raw results.
    asks : Out
        The walker asks for a plane.
    fetched : Out
        The plane's words are there, or on their way.
    all_ask, all_fetched : In
        Conjunction of those of all units of the stack.
    sums, ended : Out
        Sums of each column's tile, and the tag of the vector.
    totals, ended_all : In
        Those of the whole stack, for its first unit.
    """

    walk: Aggregate
    drain: Aggregate
    work: Aggregate
    start: Signal
    active: Signal
    fetching: Signal
    starved: Signal
    part: Signal
    works: Signal
    fetch: Aggregate
    granted: Signal
    words: Aggregate
    reads: Sequence[Stream]
    read_words: Sequence[Signal]
    writes: Sequence[Stream]
    weights: Sequence[Stream]
    records: Sequence[Stream]
    raw: Sequence[Stream]
    asks: Signal
    fetched: Signal
    all_ask: Signal
    all_fetched: Signal
    sums: Sequence[Aggregate]
    ended: PlaneTag
    totals: Sequence[Aggregate]
    ended_all: PlaneTag

    def __init__(self, parameters: PlatformParameters, *, cluster: int, place: int):
        self.parameters = p = parameters
        self.cluster, self.place = cluster, place
        write = write_layout(p.address_bits, p.rows)
        columns = {
            "reads": Out(stream.Signature(p.address_bits)),
            "read_words": In(p.rows),
            "writes": Out(stream.Signature(write)),
            "weights": In(stream.Signature(weight_layout(p.tile))),
            "records": In(stream.Signature(RECORD_BITS)),
            "raw": Out(stream.Signature(raw_layout())),
        }
        stack = {
            "asks": Out(1),
            "fetched": Out(1),
            "all_ask": In(1),
            "all_fetched": In(1),
            "sums": Out(sums_layout(p.tile)).array(p.tile_columns),
            "ended": Out(PlaneTag),
            "totals": In(added_layout(p)).array(p.tile_columns),
            "ended_all": In(PlaneTag),
        }
        super().__init__(
            {
                "walk": In(walk_layout(p)),
                "drain": In(drain_layout(p)),
                "work": In(work_layout()),
                "start": In(1),
                "active": Out(1),
                "fetching": Out(1),
                "starved": Out(1),
                "part": Out(8),
                "works": Out(p.tile_columns),
                "fetch": Out(fetch_layout(p.address_bits)),
                "granted": In(1),
                "words": In(data.ArrayLayout(p.rows, 2)),
                **{name: each.array(p.tile_columns) for name, each in columns.items()},
                **(stack if p.stack > 1 else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.walker = walker = Walker(p, place=self.place)
        m.submodules.aligner = aligner = PlaneAligner(p.rows)
        alone = p.tiles == 1
        stored = Signal()  # sums are stored here: by the first unit of a stack
        m.d.comb += stored.eq(~self.work.stacked if self.place else 1)
        if alone:
            m.d.comb += self.works.eq(1)
            starts: Value = self.start
        else:
            m.submodules.share = share = Share(p, cluster=self.cluster, place=self.place)
            m.d.comb += [
                share.work.eq(self.work),
                share.weight_bits.eq(self.drain.weight_bits),
                share.outputs.eq(self.drain.outputs),
                self.part.eq(share.part),
                self.works.eq(Mux(stored, share.works, 0)),
            ]
            starts = self.start & share.works[0]
        active: Value = walker.active

        # All lanes of all columns trim sums to these widths. They are registered here, so that no
        # path leads from the conductor to the lanes; its settings stand before a layer starts.
        accumulator_bits = Signal.like(self.drain.accumulator_bits)
        weight_bits = Signal.like(self.drain.weight_bits)
        m.d.sync += [
            accumulator_bits.eq(self.drain.accumulator_bits),
            weight_bits.eq(self.drain.weight_bits),
        ]

        fulls: list[Value] = []
        frees: list[Value] = []
        for column in range(p.tile_columns):
            m.submodules[f"tile_{column}"] = tile = PlaneTile(p.tile)
            m.submodules[f"accumulators_{column}"] = accumulators = AccumulatorMemory(p)
            m.submodules[f"drain_{column}"] = drain = Drain(p, gated=not alone)
            connect(m, flipped(self.weights[column]), tile.weights)
            connect(m, flipped(self.records[column]), drain.records)
            connect(m, drain.raw, flipped(self.raw[column]))
            connect(m, drain.reads, flipped(self.reads[column]))
            connect(m, drain.writes, flipped(self.writes[column]))
            settings = structure(drain_layout(p), name=f"drain_settings_{column}")
            m.d.comb += settings.eq(self.drain)
            if not alone:
                m.d.comb += [
                    drain.works.eq(self.works[column]),
                    settings.outputs.eq(share.left[column]),
                ]
                for name in ("target", "skip"):
                    m.d.comb += settings[name].channel.eq(
                        self.drain[name].channel + share.first[column]
                    )
            if p.units > 1:
                m.d.comb += [
                    drain.share.eq(share.share),
                    settings.target.x.eq(self.drain.target.x + Mux(self.drain.raw, share.raw, 0)),
                ]
            m.d.comb += [
                drain.settings.eq(settings),
                drain.start.eq(self.start & self.works[column]),
                tile.plane.eq(aligner.plane),
                tile.tag.eq(aligner.tag),
                tile.advance.eq(1),
                *(
                    accumulators.sums[lane].eq(tile.sums[lane])
                    for lane in tile.sums.shape().members
                ),
                accumulators.ended.eq(tile.ended),
                accumulators.weight_bits.eq(weight_bits),
                accumulators.accumulator_bits.eq(accumulator_bits),
                drain.finished.eq(accumulators.finished),
                accumulators.read.eq(drain.read),
                accumulators.release.eq(drain.release),
                accumulators.held.eq(drain.held),
                drain.sums.eq(accumulators.results),
                drain.read_word.eq(self.read_words[column]),
            ]
            if p.tile_columns > 1:
                # In the last group, a column may have no outputs: its sums are of no use.
                unused = accumulators.finished & ~drain.reading
                m.d.comb += accumulators.release.eq(drain.release | unused)
            if p.stack > 1:
                m.d.comb += [self.sums[column].eq(tile.sums), self.ended.eq(tile.ended)]
                if self.place:
                    m.d.comb += accumulators.ended.valid.eq(tile.ended.valid & stored)
                else:
                    with m.If(self.work.stacked):
                        m.d.comb += [
                            accumulators.sums.eq(self.totals[column]),
                            accumulators.ended.eq(self.ended_all),
                        ]
            fulls.append(tile.full)
            frees.append(accumulators.free)
            active = active | drain.active

        m.d.comb += self.active.eq(active)
        full = functools.reduce(operator.and_, fulls)
        # No path goes from the drain's back-pressure through the walker.
        free = Signal(2)
        m.d.sync += free.eq(functools.reduce(operator.and_, frees))
        if p.units > 1:
            m.d.comb += walker.share.eq(share.share)
        m.d.comb += [
            self.fetching.eq(walker.tag.valid),
            self.starved.eq(walker.starved),
            walker.settings.eq(self.walk),
            walker.start.eq(starts),
            walker.full.eq(full),
            walker.free.eq(free),
            walker.go.eq(self.granted),
            self.fetch.eq(walker.fetch),
            aligner.part.eq(walker.part),
            aligner.fetched.eq(walker.tag),
            aligner.words.eq(self.words),
        ]
        if not alone:
            m.d.comb += walker.settings.outputs.eq(share.left[0])
        if p.stack > 1:
            self.keep_in_step(m, walker, aligner)
        return m

    def keep_in_step(self, m: Module, walker: Walker, aligner: PlaneAligner) -> None:
        """Fetch a plane when all units of the stack ask for one; use it when all have theirs."""
        stacked = self.work.stacked
        kept = Signal()
        newly = Signal()
        uses = Signal()
        words = Signal.like(self.words)
        wants = Mux(stacked, self.all_ask & ~kept, 1)
        m.d.comb += [
            self.asks.eq(walker.asks),
            self.fetched.eq(kept | self.granted),
            self.fetch.first.eq(walker.fetch.first & wants),
            self.fetch.second.eq(walker.fetch.second & wants),
            walker.go.eq(Mux(stacked, self.all_ask & self.all_fetched, self.granted)),
            aligner.words.eq(Mux(uses, words, self.words)),
        ]
        waits = stacked & self.all_ask & ~self.all_fetched
        m.d.sync += [
            kept.eq(waits & self.fetched),
            newly.eq(waits & self.granted & ~kept),
            uses.eq(kept),
        ]
        with m.If(newly):
            m.d.sync += words.eq(self.words)
