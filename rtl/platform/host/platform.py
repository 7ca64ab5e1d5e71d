"""Platform: runs whole programs from memories on a bus."""

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
    ValueLike,
)
from amaranth.lib.wiring import Member, Out, connect
from amaranth.utils import exact_log2

from adq.rtl.interface import weight_layout
from adq.rtl.platform.bus.axi import lite_ports, read_ports, write_ports
from adq.rtl.platform.bus.gearbox import Gearbox
from adq.rtl.platform.bus.lane_writer import LaneWriter
from adq.rtl.platform.bus.read_channel import ReadChannel
from adq.rtl.platform.bus.read_master import ReadMaster
from adq.rtl.platform.bus.write_master import WriteMaster
from adq.rtl.platform.descriptors import DESCRIPTOR_BYTES
from adq.rtl.platform.engine import Engine
from adq.rtl.platform.host.programs.load_copy import LoadCopy
from adq.rtl.platform.host.programs.program_control import ProgramControl
from adq.rtl.platform.host.programs.store_copy import StoreCopy
from adq.rtl.platform.host.register_table import (
    ADDRESS_BITS,
    COUNTERS,
    FIELDS,
    MEMORIES,
    ErrorCode,
)
from adq.rtl.platform.host.registers import Registers
from adq.rtl.platform.host.run_counters import RunCounters
from adq.rtl.platform.host.run_supervisor import RunSupervisor
from adq.rtl.platform.host.watchdog import Watchdog
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.results.drain_settings import RECORD_BITS
from adq.rtl.platform.results.raw_writer import RESULT_BITS, raw_layout
from adq.rtl.platform.stream_register import StreamRegister
from adq.rtl.platform.weights.weight_path import WeightPath
from adq.rtl.port_types import Aggregate, Component

__all__ = ["Platform"]

_DEPTH = 64
"""Beats for which a read channel has room."""

_BYTE = 8


class Platform(Component):
    """A platform of one or more tiles, with AXI4-Lite registers and an AXI4 master::

        s_axi --> registers --> supervisor --> program control --- layers ----------+
                                                 | requests                         v
        m_axi --> read master --> read channels -+-> weight path --------------> engine
              <-- write master <-- lane writers <--- raw results, stored images ----+

    The host writes the places of three memories and starts: everything else goes over the bus. An
    interrupt tells that the program has ended, or was stopped.

    Members
    -------
    s_axi_* : AXI4-Lite, 32 bits
        Registers, :data:`adq.rtl.platform.host.register_table.REGISTERS`.
    m_axi_* : AXI4, ``bus_bits`` bits, addresses of 64 bits
    irq : Out
        Level: the interrupt.
    """

    irq: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        self.ports: dict[str, Member] = {
            **lite_ports("s_axi", ADDRESS_BITS),
            **read_ports("m_axi", p.bus_bits),
            **write_ports("m_axi", p.bus_bits),
        }
        super().__init__({**self.ports, "irq": Out(1)})

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.registers = registers = Registers(p)
        m.submodules.supervisor = supervisor = RunSupervisor()
        m.submodules.counters = counters = RunCounters()
        m.submodules.watchdog = watchdog = Watchdog()
        m.submodules.reads = reads = ReadMaster(p.bus_bits, len(_CHANNELS))
        m.submodules.writes = writes = WriteMaster(p.bus_bits)
        for part in (registers, reads, writes):
            for name in part.signature.members:
                if name in self.ports:
                    outer, inner = getattr(self, name), getattr(part, name)
                    out = self.ports[name].flow == Out
                    m.d.comb += outer.eq(inner) if out else inner.eq(outer)
        m.d.comb += self.irq.eq(registers.interrupt)

        # The places of memories stand while a program runs.
        bases = {name: Signal(64, name=f"{name}_base") for name in MEMORIES}
        sizes = {name: Signal(32, name=f"{name}_size") for name in MEMORIES}
        with m.If(supervisor.begins):
            for name in MEMORIES:
                m.d.sync += [
                    bases[name].eq(getattr(registers, f"{name}_base")),
                    sizes[name].eq(getattr(registers, f"{name}_size")),
                ]

        # ---- What runs programs is reset between runs.
        m.domains.run = ClockDomain()
        m.d.comb += [
            ClockSignal("run").eq(ClockSignal()),
            ResetSignal("run").eq(ResetSignal() | supervisor.clear),
        ]

        def part_of(name: str, part: Component) -> None:
            m.submodules[name] = DomainRenamer("run")(part)

        control, engine = ProgramControl(p), Engine(p)
        weights, load, store = WeightPath(p), LoadCopy(p), StoreCopy(p)
        for name, run in {
            "control": control, "engine": engine, "weights": weights, "load": load, "store": store
        }.items():  # fmt: skip
            part_of(name, run)
        connect(m, control.layers, engine.layers)
        connect(m, control.tasks, weights.tasks)
        for tile in range(p.tiles):
            connect(m, weights.weights[tile], engine.weights[tile])
        connect(m, load.writes, engine.host_writes)
        connect(m, store.reads, engine.host_reads)
        m.d.comb += [
            control.output_size.eq(sizes["output"]),
            control.engine_active.eq(engine.active),
            control.load_active.eq(load.active),
            control.store_active.eq(store.active),
            load.copy.eq(control.copy),
            load.start.eq(control.load_start),
            store.copy.eq(control.copy),
            store.start.eq(control.store_start),
            store.place.eq(control.store_offset >> exact_log2(p.rows // _BYTE)),
            store.read_word.eq(engine.host_word),
        ]

        # ---- Reads: what channels bring, and to whom.
        faults: list[tuple[Value, ValueLike, ValueLike, Value]] = []
        requests = (control.requests, control.record_requests, weights.requests,
                    control.load_requests)  # fmt: skip
        words = (control.descriptors, engine.records, weights.beats, load.words)
        widths = (8 * DESCRIPTOR_BYTES, RECORD_BITS, weight_layout(p.tile).size, p.rows)
        for place, (name, memory, kind, field) in enumerate(_CHANNELS):
            gearbox = Gearbox(p.bus_bits, widths[place])
            channel = ReadChannel(p.bus_bits, gearbox.granule, depth=_DEPTH)
            part_of(f"{name}_gearbox", gearbox)
            part_of(f"{name}_channel", channel)
            connect(m, requests[place], channel.requests)
            connect(m, channel.bursts, getattr(reads, f"bursts_{place}"))
            connect(m, channel.beats, gearbox.beats)
            m.d.comb += [
                channel.size.eq(sizes[memory]),
                channel.arrived.eq(reads.arrived[place]),
                channel.beat.eq(reads.beat),
                reads.bases[place].eq(bases[memory]),
                words[place].valid.eq(gearbox.words.valid),
                words[place].payload.eq(gearbox.words.payload),
                gearbox.words.ready.eq(words[place].ready),
            ]
            number = FIELDS.index((kind, field))
            code = Mux(reads.decode, ErrorCode.READ_DECODE, ErrorCode.READ_SLAVE)
            faults += [
                (channel.outside, ErrorCode.OUTSIDE, number, channel.index),
                (reads.failed[place], code, number, reads.index),
            ]

        # ---- Writes: raw results come first; stored images wait for layers anyway.
        raw_writer = LaneWriter(RESULT_BITS, p.bus_bits)
        store_writer = LaneWriter(p.rows, p.bus_bits)
        raw_register = StreamRegister(raw_layout())
        part_of("raw_register", raw_register)
        part_of("raw_writer", raw_writer)
        part_of("store_writer", store_writer)
        raw: Aggregate = engine.raw.payload
        inside = (raw.place >> 1) < sizes["output"]
        code = Mux(writes.decode, ErrorCode.WRITE_DECODE, ErrorCode.WRITE_SLAVE)
        faults += [
            (engine.raw.valid & ~inside, ErrorCode.OUTSIDE, FIELDS.index(("Layer", "target")),
             control.layer_index),
            (writes.failed, code, 0, control.index),
            (control.fault, control.blame.code, control.blame.field, control.blame.descriptor),
        ]  # fmt: skip
        connect(m, store.words, store_writer.words)
        m.d.comb += [
            raw_register.given.valid.eq(engine.raw.valid & inside),
            raw_register.given.payload.eq(raw),
            engine.raw.ready.eq(raw_register.given.ready),
            raw_writer.words.valid.eq(raw_register.taken.valid),
            raw_writer.words.payload.place.eq(raw_register.taken.payload.place),
            raw_writer.words.payload.word.eq(raw_register.taken.payload.value),
            raw_register.taken.ready.eq(raw_writer.words.ready),
            control.writing.eq(~writes.idle | raw_register.taken.valid),
            writes.base.eq(bases["output"]),
            writes.writes.valid.eq(
                ~supervisor.clear & (raw_writer.writes.valid | store_writer.writes.valid)
            ),
            writes.writes.payload.eq(
                Mux(
                    raw_writer.writes.valid,
                    raw_writer.writes.payload.as_value(),
                    store_writer.writes.payload.as_value(),
                )
            ),
            raw_writer.writes.ready.eq(writes.writes.ready),
            store_writer.writes.ready.eq(writes.writes.ready & ~raw_writer.writes.valid),
            writes.flush.eq(control.flush | supervisor.stopping),
            reads.stop.eq(supervisor.clear),
        ]

        # ---- Faults: the first one of a cycle is reported.
        free: Value = ~supervisor.clear
        for condition, cause, blamed, index in faults:
            with m.If(free & condition):
                m.d.comb += [
                    supervisor.fault.eq(1),
                    supervisor.blame.code.eq(cause),
                    supervisor.blame.field.eq(blamed),
                    supervisor.blame.descriptor.eq(index),
                ]
            free = free & ~condition

        m.d.comb += [
            supervisor.start.eq(registers.start),
            supervisor.abort.eq(registers.abort),
            supervisor.finished.eq(control.finished),
            supervisor.under_way.eq(~reads.idle | ~writes.idle),
            supervisor.late.eq(watchdog.late),
            watchdog.timeout.eq(registers.timeout),
            watchdog.waits.eq(~reads.idle | writes.waits),
            watchdog.moves.eq(reads.moves | writes.moves),
            registers.busy.eq(supervisor.busy),
            registers.done.eq(supervisor.done),
            registers.failed.eq(supervisor.failed),
            registers.error.eq(supervisor.error),
            registers.descriptor.eq(control.index),
            registers.ends.eq(supervisor.ends),
            registers.fails.eq(supervisor.fails),
            counters.begins.eq(supervisor.begins),
            counters.busy.eq(supervisor.busy),
            counters.stops.eq(supervisor.stopping),
            counters.active.eq(engine.active),
            counters.settling.eq(engine.settling),
            counters.fetching.eq(engine.fetching),
            counters.starved.eq(engine.starved),
            counters.hungry.eq(engine.hungry),
            counters.copying.eq(control.copying),
            counters.reads.eq(reads.arrived.any()),
            counters.writes.eq(writes.sent),
            *(
                getattr(registers, name).eq(getattr(counters, name))
                for name in ("cycles", *COUNTERS, "read_beats", "write_beats")
            ),
        ]
        return m


_CHANNELS = (
    ("descriptors", "program", "", "operation"),
    ("records", "program", "Layer", "parameters"),
    ("weights", "program", "Layer", "weights"),
    ("images", "input", "Load", "memory"),
)
"""Read channels, first served first: name, memory, and the field that asks for it."""
