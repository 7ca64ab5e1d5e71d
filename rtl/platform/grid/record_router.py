"""Record router: gives each drain the parameters of its outputs, or the table."""

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.drain_settings import RECORD_BITS, outputs_of
from adq.rtl.port_types import Component, Stream

__all__ = ["RecordRouter"]


class RecordRouter(Component):
    """Follows the order of outputs, and passes each record on to all drains that compute its
    output. Records of a table go to all drains that compute any.

    A record moves when all of its drains take it. Parameters of a drain may wait until it has room,
    and those of others behind them: these are of later outputs.

    Latency: none. Throughput: a record per cycle.

    Members
    -------
    start : In
        A layer begins, with the settings.
    weight_bits, split, table : In
        One-hot weight width of the layer, parts that compute different outputs, and whether its
        records are a table.
    parts : array, In
        Part of each unit.
    works : array, In
        One bit per column of each unit: it computes results of the layer.
    records : stream, In
    given : array of streams, Out
        Records of each drain: unit by unit, column by column.
    """

    start: Signal
    weight_bits: Signal
    split: Signal
    table: Signal
    parts: Sequence[Signal]
    works: Sequence[Signal]
    records: Stream
    given: Sequence[Stream]

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "start": In(1),
                "weight_bits": In(len(p.tile.weight_widths)),
                "split": In(8),
                "table": In(1),
                "parts": In(8).array(p.units),
                "works": In(p.tile_columns).array(p.units),
                "records": In(stream.Signature(RECORD_BITS)),
                "given": Out(stream.Signature(RECORD_BITS)).array(p.tiles),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        part = Signal(8)
        column = Signal(range(p.tile_columns))
        lane = Signal(range(p.tile.lanes))
        taken = self.records.valid & self.records.ready
        with m.If(taken):
            m.d.sync += lane.eq(lane + 1)
            with m.If(lane == outputs_of(p, self.weight_bits) - 1):
                m.d.sync += [lane.eq(0), column.eq(column + 1)]
                with m.If(column == p.tile_columns - 1):
                    m.d.sync += [column.eq(0), part.eq(Mux(part == self.split - 1, 0, part + 1))]
        with m.If(self.start):
            m.d.sync += [part.eq(0), column.eq(0), lane.eq(0)]

        chosen: list[Signal] = []
        for unit in range(p.units):
            for place in range(p.tile_columns):
                takes = Signal(name=f"takes_{unit}_{place}")
                its = self.table | ((self.parts[unit] == part) & (column == place))
                m.d.comb += takes.eq(self.works[unit][place] & its)
                chosen.append(takes)

        def every(values: Sequence[Value]) -> Value:
            return functools.reduce(operator.and_, values, Const(1))

        some = functools.reduce(operator.or_, chosen)
        ready = [~takes | each.ready for takes, each in zip(chosen, self.given, strict=True)]
        m.d.comb += self.records.ready.eq(some & every(ready))
        for place, (takes, each) in enumerate(zip(chosen, self.given, strict=True)):
            others = ready[:place] + ready[place + 1 :]
            m.d.comb += [
                each.valid.eq(self.records.valid & takes & every(others)),
                each.payload.eq(self.records.payload),
            ]
        return m
