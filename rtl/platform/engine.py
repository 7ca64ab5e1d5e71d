"""Engine: runs layers on one tile, from the plane memory back into it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from adq.rtl.interface import weight_layout
from adq.rtl.platform.accumulator_memory import AccumulatorMemory
from adq.rtl.platform.conductor.conductor import Conductor, layer_layout
from adq.rtl.platform.drain import Drain
from adq.rtl.platform.drain_settings import RECORD_BITS
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.plane_tile import PlaneTile
from adq.rtl.platform.planes.plane_aligner import PlaneAligner
from adq.rtl.platform.planes.plane_memory import PlaneMemory
from adq.rtl.platform.planes.walker import Walker
from adq.rtl.platform.raw_writer import raw_layout
from adq.rtl.port_types import Component, Stream

__all__ = ["Engine", "word_layout"]


def word_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a word for the plane memory."""
    return data.StructLayout({"address": parameters.address_bits, "word": parameters.rows})


class Engine(Component):
    """A platform of one tile, with streams in place of a bus::

        layers --> conductor --settings--> walker, drain
                                             |
                  plane memory <--- fetch ---+
                   ^    |  |
        host words +    |  +-> aligner -> tile <- weights
                   |    |                  |
                   |    |         accumulator memory
                   |    +- skip words -> drain <- records
                   +--- words -------------+-> raw

    Layers run one after another. While a layer runs, its weights and records come in the order in
    which the program has them; weights of the next layer may come ahead.

    The host reads and writes words when no block wants to: before and after layers at once.

    Members
    -------
    layers : stream of :func:`adq.rtl.platform.conductor.conductor.layer_layout`, In
    weights : stream of :func:`adq.rtl.interface.weight_layout`, In
        Weight blocks, in the order of the program.
    records : stream, In
        Parameters or the table of each layer, 16 bytes at a time.
    raw : stream of :func:`adq.rtl.platform.raw_writer.raw_layout`, Out
        Raw results, with their places in the output memory.
    host_writes : stream of :func:`word_layout`, In
    host_reads : stream of addresses, In
    host_word : word, Out
        Word of the host's read that was taken in the cycle before.
    active : Out
        A layer is prepared or under way.
    settling, fetching, starved : Out
        While active: its settings are computed, or it ends; a plane is fetched; the walker waits
        for weights.
    """

    layers: Stream
    weights: Stream
    records: Stream
    raw: Stream
    host_writes: Stream
    host_reads: Stream
    host_word: Signal
    active: Signal
    settling: Signal
    fetching: Signal
    starved: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        if p.tiles != 1:
            raise ValueError(f"the engine has one tile, not {p.tiles}")
        super().__init__(
            {
                "layers": In(stream.Signature(layer_layout())),
                "weights": In(stream.Signature(weight_layout(p.tile))),
                "records": In(stream.Signature(RECORD_BITS)),
                "raw": Out(stream.Signature(raw_layout())),
                "host_writes": In(stream.Signature(word_layout(p))),
                "host_reads": In(stream.Signature(p.address_bits)),
                "host_word": Out(p.rows),
                "active": Out(1),
                "settling": Out(1),
                "fetching": Out(1),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.conductor = conductor = Conductor(p)
        m.submodules.walker = walker = Walker(p)
        m.submodules.memory = memory = PlaneMemory(p)
        m.submodules.aligner = aligner = PlaneAligner(p.rows)
        m.submodules.tile = tile = PlaneTile(p.tile)
        m.submodules.accumulators = accumulators = AccumulatorMemory(p)
        m.submodules.drain = drain = Drain(p)
        connect(m, flipped(self.layers), conductor.layers)
        connect(m, flipped(self.weights), tile.weights)
        connect(m, flipped(self.records), drain.records)
        connect(m, drain.raw, flipped(self.raw))

        m.d.comb += [
            self.active.eq(conductor.active),
            conductor.busy.eq(walker.active | drain.active),
            self.settling.eq(conductor.active & ~conductor.busy),
            self.fetching.eq(walker.tag.valid),
            self.starved.eq(walker.starved),
            walker.settings.eq(conductor.walk),
            walker.start.eq(conductor.start),
            drain.settings.eq(conductor.drain),
            drain.start.eq(conductor.start),
            # Planes, from the memory to sums.
            walker.full.eq(tile.full),
            walker.free.eq(accumulators.free),
            memory.fetch.eq(walker.fetch),
            aligner.part.eq(walker.part),
            aligner.fetched.eq(walker.tag),
            aligner.words.eq(memory.words),
            tile.plane.eq(aligner.plane),
            tile.tag.eq(aligner.tag),
            tile.advance.eq(1),
            accumulators.sums.eq(tile.sums),
            accumulators.ended.eq(tile.ended),
            accumulators.weight_bits.eq(conductor.drain.weight_bits),
            accumulators.accumulator_bits.eq(conductor.drain.accumulator_bits),
            # Results, back into the memory.
            drain.finished.eq(accumulators.finished),
            accumulators.read.eq(drain.read),
            accumulators.release.eq(drain.release),
            accumulators.held.eq(drain.held),
            drain.sums.eq(accumulators.results),
            drain.read_word.eq(memory.read_word),
        ]

        # The drain's accesses come before the host's.
        reads, writes = memory.reads, memory.write
        given = self.host_writes.payload
        m.d.comb += [
            reads.valid.eq(drain.reads.valid | self.host_reads.valid),
            reads.payload.eq(Mux(drain.reads.valid, drain.reads.payload, self.host_reads.payload)),
            drain.reads.ready.eq(reads.ready),
            self.host_reads.ready.eq(reads.ready & ~drain.reads.valid),
            self.host_word.eq(memory.read_word),
            self.host_writes.ready.eq(~drain.write_enable),
            memory.write_enable.eq(drain.write_enable | self.host_writes.valid),
            writes.address.eq(Mux(drain.write_enable, drain.address, given.address)),
            writes.word.eq(Mux(drain.write_enable, drain.word, given.word)),
            writes.mask.eq(Mux(drain.write_enable, drain.mask, (1 << p.rows) - 1)),
        ]
        return m
