"""Engine: runs layers on the platform's tiles, from the plane memory back into it."""

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.platform.conductor.conductor import Conductor, layer_layout
from adq.rtl.platform.grid.raw_merger import RawMerger
from adq.rtl.platform.grid.record_router import RecordRouter
from adq.rtl.platform.grid.stack_adder import StackAdder
from adq.rtl.platform.grid.unit import Unit
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.plane_memory import PlaneMemory
from adq.rtl.platform.results.drain_settings import RECORD_BITS
from adq.rtl.platform.results.raw_writer import raw_layout
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["Engine", "waits_layout", "word_layout"]


def word_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a word for the plane memory."""
    return data.StructLayout({"address": parameters.address_bits, "word": parameters.rows})


def waits_layout() -> data.StructLayout:
    """Return the layout of counts of waits of a port for others, in cycles.

    Fetches, reads and writes wait for a bank of the plane memory, raw results for their stream.
    """
    return data.StructLayout({"fetches": 32, "reads": 32, "writes": 32, "raw": 32})


class Engine(Component):
    """The tiles of a platform around one plane memory, with streams in place of a bus::

        layers --> conductor --settings--> units
                                             |
                  plane memory <-- fetches --+ walker
                   ^    |  |                 |
        host words +    |  +---- planes ---> tiles <- weights
                   |    |                    | sums
                   |    |                 accumulator memories
                   |    +- skip words ---> drains <- records
                   +--- words -----------+-> raw

    A unit is a row of tiles of a cluster. Layers run one after another, each on all units. While a
    layer runs, its weights and records come in the order in which the program has them; weights of
    the next layer may come ahead.

    Each tile has a stream of weights: the blocks that the program has for its part of the outputs,
    its place in the stack if the layer is stacked, and its column; those of a group of outputs
    again for every chunk of its windows. A unit without windows, or without outputs in a group,
    takes none; see :class:`adq.rtl.platform.grid.share.Share`.

    The host reads and writes words when no block wants to: before and after layers at once.

    Members
    -------
    layers : stream of :func:`adq.rtl.platform.conductor.conductor.layer_layout`, In
    weights : array of streams of :func:`adq.rtl.interface.weight_layout`, In
        Weight blocks of each tile: cluster by cluster, in it unit by unit, in it column by column.
    records : stream, In
        Parameters or the table of each layer, 16 bytes at a time.
    raw : stream of :func:`adq.rtl.platform.results.raw_writer.raw_layout`, Out
        Raw results, with their places in the output memory.
    host_writes : stream of :func:`word_layout`, In
    host_reads : stream of addresses, In
    host_word : word, Out
        Word of the host's read that was taken in the cycle before.
    active : Out
        A layer is prepared or under way.
    settling, fetching, starved, hungry : Out
        While active: its settings are computed, or it ends; a plane is fetched; a walker waits for
        weights; a tile of such a walker could take a beat of them.
    waits : :func:`waits_layout`, Out
        Waits of walkers, skip readers, plane writers and raw writers for each other, since the
        start of the layer.
    """

    layers: Stream
    weights: Sequence[Stream]
    records: Stream
    raw: Stream
    host_writes: Stream
    host_reads: Stream
    host_word: Signal
    active: Signal
    settling: Signal
    fetching: Signal
    starved: Signal
    hungry: Signal
    waits: Aggregate

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "layers": In(stream.Signature(layer_layout())),
                "weights": In(stream.Signature(weight_layout(p.tile))).array(p.tiles),
                "records": In(stream.Signature(RECORD_BITS)),
                "raw": Out(stream.Signature(raw_layout())),
                "host_writes": In(stream.Signature(word_layout(p))),
                "host_reads": In(stream.Signature(p.address_bits)),
                "host_word": Out(p.rows),
                "active": Out(1),
                "settling": Out(1),
                "fetching": Out(1),
                "starved": Out(1),
                "hungry": Out(1),
                "waits": Out(waits_layout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.conductor = conductor = Conductor(p)
        m.submodules.memory = memory = PlaneMemory(p, readers=p.tiles + 1, writers=p.tiles + 1)
        connect(m, flipped(self.layers), conductor.layers)

        units = []
        hungry = []
        for number in range(p.units):
            cluster, place = divmod(number, p.stack)
            m.submodules[f"unit_{cluster}_{place}"] = unit = Unit(p, cluster=cluster, place=place)
            units.append(unit)
            m.d.comb += [
                unit.walk.eq(conductor.walk),
                unit.drain.eq(conductor.drain),
                unit.work.eq(conductor.work),
                unit.start.eq(conductor.start),
                memory.fetches[number].eq(unit.fetch),
                unit.granted.eq(memory.granted[number]),
                unit.words.eq(memory.words[number]),
            ]
            for column in range(p.tile_columns):
                tile = number * p.tile_columns + column
                connect(m, flipped(self.weights[tile]), unit.weights[column])
                lacks = self.weights[tile].ready & ~self.weights[tile].valid
                hungry.append(unit.starved & lacks)
                connect(m, unit.reads[column], memory.reads[tile])
                connect(m, unit.writes[column], memory.writes[tile])
                m.d.comb += unit.read_words[column].eq(memory.read_words[tile])
        m.d.comb += [
            self.active.eq(conductor.active),
            conductor.busy.eq(functools.reduce(operator.or_, (unit.active for unit in units))),
            self.settling.eq(conductor.active & ~conductor.busy),
            self.fetching.eq(functools.reduce(operator.or_, (unit.fetching for unit in units))),
            self.starved.eq(functools.reduce(operator.or_, (unit.starved for unit in units))),
            self.hungry.eq(functools.reduce(operator.or_, hungry)),
        ]
        if p.stack > 1:
            for first in range(0, p.units, p.stack):
                self.join(m, units[first : first + p.stack], first)
        self.route(m, units, conductor)

        # The drains' accesses come before the host's.
        connect(m, flipped(self.host_reads), memory.reads[p.tiles])
        writes = memory.writes[p.tiles]
        m.d.comb += [
            self.host_word.eq(memory.read_words[p.tiles]),
            self.host_writes.ready.eq(writes.ready),
            writes.valid.eq(self.host_writes.valid),
            writes.payload.address.eq(self.host_writes.payload.address),
            writes.payload.word.eq(self.host_writes.payload.word),
            writes.payload.mask.eq((1 << p.rows) - 1),
        ]
        self.count(m, conductor, memory, [each for unit in units for each in unit.raw])
        return m

    def route(self, m: Module, units: Sequence[Unit], conductor: Conductor) -> None:
        """Connect records to the drains, and the drains to raw results."""
        p = self.parameters
        if p.tiles == 1:
            connect(m, flipped(self.records), units[0].records[0])
            connect(m, units[0].raw[0], flipped(self.raw))
            return
        m.submodules.router = router = RecordRouter(p)
        m.submodules.merger = merger = RawMerger(p.tiles)
        connect(m, flipped(self.records), router.records)
        connect(m, merger.results, flipped(self.raw))
        m.d.comb += [
            router.start.eq(conductor.start),
            router.weight_bits.eq(conductor.drain.weight_bits),
            router.split.eq(conductor.work.split),
            router.table.eq(conductor.drain.table),
        ]
        for number, unit in enumerate(units):
            m.d.comb += [
                router.parts[number].eq(unit.part),
                router.works[number].eq(unit.works),
            ]
            for column in range(p.tile_columns):
                tile = number * p.tile_columns + column
                connect(m, router.given[tile], unit.records[column])
                connect(m, unit.raw[column], merger.given[tile])

    def join(self, m: Module, stack: Sequence[Unit], first: int) -> None:
        """Connect the units of a stack, which share row blocks where a layer is stacked."""
        asks = functools.reduce(operator.and_, (unit.asks for unit in stack))
        fetched = functools.reduce(operator.and_, (unit.fetched for unit in stack))
        for unit in stack:
            m.d.comb += [
                unit.all_ask.eq(asks),
                unit.all_fetched.eq(fetched),
            ]
        for column in range(self.parameters.tile_columns):
            adder = StackAdder(self.parameters)
            m.submodules[f"adder_{first // self.parameters.stack}_{column}"] = adder
            for place, unit in enumerate(stack):
                m.d.comb += adder.sums[place].eq(unit.sums[column])
            m.d.comb += [
                adder.stacked.eq(stack[0].work.stacked),
                adder.accumulator_bits.eq(stack[0].drain.accumulator_bits),
                adder.ended.eq(stack[0].ended),
                stack[0].totals[column].eq(adder.totals),
                stack[0].ended_all.eq(adder.tag),
            ]

    def count(
        self, m: Module, conductor: Conductor, memory: PlaneMemory, raw: Sequence[Stream]
    ) -> None:
        """Count the waits of each kind of port."""
        ports = {
            "fetches": [
                (fetch.first | fetch.second) & ~memory.granted[place]
                for place, fetch in enumerate(memory.fetches)
            ],
            "reads": [each.valid & ~each.ready for each in memory.reads[:-1]],
            "writes": [each.valid & ~each.ready for each in memory.writes[:-1]],
            "raw": [each.valid & ~each.ready & self.raw.ready for each in raw],
        }
        for name, waits in ports.items():
            counter = self.waits[name]
            m.d.sync += counter.eq(
                Mux(conductor.start, 0, counter + functools.reduce(operator.add, waits))
            )
