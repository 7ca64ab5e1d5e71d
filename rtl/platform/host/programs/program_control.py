"""Program control: reads descriptors, checks them, and carries them out in order."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.read_channel import INDEX_BITS, request_layout
from adq.rtl.platform.conductor.conductor import layer_layout
from adq.rtl.platform.conductor.descriptor_layout import descriptor_layout
from adq.rtl.platform.descriptors import (
    DESCRIPTOR_BYTES,
    End,
    Layer,
    Load,
    Loop,
    Mode,
    Store,
    When,
)
from adq.rtl.platform.host.programs.copy_placer import CopyPlacer
from adq.rtl.platform.host.programs.field_checks import FieldChecks
from adq.rtl.platform.host.programs.load_copy import slots_layout
from adq.rtl.platform.host.programs.loop_counter import LoopCounter
from adq.rtl.platform.host.register_table import FIELDS, ErrorCode
from adq.rtl.platform.host.run_supervisor import fault_layout
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.weights.weight_loader import task_layout
from adq.rtl.port_types import Aggregate, Component, Stream

__all__ = ["ProgramControl"]

_OPERATION_BITS = 4


class ProgramControl(Component):
    """Runs a program, out of reset: all descriptors are read and checked; then they are read again,
    checked and carried out.

    While a layer runs, the next descriptor is read, and its weights and parameters are asked for.
    Copies wait for the layer before; a layer waits for copies, but for those ahead.

    Members
    -------
    output_size : In
        Bytes of the output memory, in units of 16.
    index : Out
        Place of the descriptor that is read or carried out.
    finished : Out
        The program has run to its end, and everything is written.
    fault, blame : Out
        A descriptor cannot be run; it stays so.
    flush : Out
        Results that were collected are to be written.
    writing : In
        Writes are under way.
    copying : Out
        The program waits for a copy, or for writes.
    requests, descriptors : streams
        Reads of descriptors, and their 64 bytes.
    layers : stream of :func:`adq.rtl.platform.conductor.conductor.layer_layout`, Out
    layer_index : Out
        Place of the layer that was taken last.
    engine_active : In
    tasks : stream of :func:`adq.rtl.platform.weights.weight_loader.task_layout`, Out
    record_requests, load_requests : streams of requests, Out
    copy : :func:`adq.rtl.platform.host.programs.load_copy.slots_layout`, Out
    load_start, store_start : Out
        Begin this copy.
    store_offset : Out
        First byte of it in the output memory.
    load_active, store_active : In
    """

    output_size: Signal
    index: Signal
    finished: Signal
    fault: Signal
    blame: Aggregate
    flush: Signal
    writing: Signal
    copying: Signal
    requests: Stream
    descriptors: Stream
    layers: Stream
    layer_index: Signal
    engine_active: Signal
    tasks: Stream
    record_requests: Stream
    load_requests: Stream
    copy: Aggregate
    load_start: Signal
    store_start: Signal
    store_offset: Signal
    load_active: Signal
    store_active: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = p = parameters
        requests = stream.Signature(request_layout())
        super().__init__(
            {
                "output_size": In(32),
                "index": Out(INDEX_BITS),
                "finished": Out(1),
                "fault": Out(1),
                "blame": Out(fault_layout()),
                "flush": Out(1),
                "writing": In(1),
                "copying": Out(1),
                "requests": Out(requests),
                "descriptors": In(stream.Signature(8 * DESCRIPTOR_BYTES)),
                "layers": Out(stream.Signature(layer_layout())),
                "layer_index": Out(INDEX_BITS),
                "engine_active": In(1),
                "tasks": Out(stream.Signature(task_layout())),
                "record_requests": Out(requests),
                "load_requests": Out(requests),
                "copy": Out(slots_layout(p)),
                "load_start": Out(1),
                "store_start": Out(1),
                "store_offset": Out(56),
                "load_active": In(1),
                "store_active": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.checks = checks = FieldChecks(p)
        m.submodules.loops = loops = LoopCounter()
        m.submodules.placer = placer = CopyPlacer(p)
        descriptor = Signal(8 * DESCRIPTOR_BYTES)
        operation = descriptor[:_OPERATION_BITS]
        layer = descriptor_layout(Layer)(descriptor)
        self.wire(m, descriptor, loops, placer)
        m.d.comb += [
            checks.descriptor.eq(descriptor),
            self.blame.code.eq(ErrorCode.DESCRIPTOR),
            self.blame.descriptor.eq(self.index),
        ]

        def blames(field: int) -> None:
            m.d.comb += [self.fault.eq(1), self.blame.field.eq(field)]

        def following() -> None:
            m.d.sync += self.index.eq(self.index + 1)
            m.next = "READ"

        # A place is found a cycle before it is asked whether it lies in the memory.
        beyond = Signal()
        m.d.sync += beyond.eq(placer.offset + placer.size > self.output_size << 4)

        no_end = FIELDS.index(("", "operation"))
        scanning = Signal(init=1)
        check = Signal(2)
        with m.FSM():
            with m.State("READ"):
                with m.If(self.index == p.largest_descriptors):
                    blames(no_end)
                with m.Else():
                    m.d.comb += self.requests.valid.eq(1)
                    with m.If(self.requests.ready):
                        m.next = "ARRIVE"
            with m.State("ARRIVE"):
                m.d.comb += self.descriptors.ready.eq(1)
                m.d.sync += check.eq(0)
                with m.If(self.descriptors.valid):
                    m.d.sync += descriptor.eq(self.descriptors.payload)
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += check.eq(check + 1)
                with m.If(check == 2):
                    with m.If(checks.field != 0):
                        m.d.comb += [self.fault.eq(1), self.blame.field.eq(checks.field)]
                        m.d.sync += check.eq(check)
                    with m.Elif(scanning):
                        m.next = "SCAN"
                    with m.Else():
                        m.next = "RUN"

            with m.State("SCAN"):
                with m.If((operation == Loop.OPERATION) & loops.full):
                    blames(no_end)
                with m.Elif(operation == End.OPERATION):
                    m.d.comb += loops.rewind.eq(1)
                    m.d.sync += [scanning.eq(0), self.index.eq(0)]
                    m.next = "READ"
                with m.Else():
                    m.d.comb += loops.append.eq(operation == Loop.OPERATION)
                    following()

            with m.State("RUN"), m.Switch(operation):
                with m.Case(End.OPERATION):
                    m.next = "END"
                with m.Case(Loop.OPERATION):
                    m.d.comb += loops.turn.eq(1)
                    following()
                    with m.If(loops.again):
                        m.d.sync += self.index.eq(0)
                with m.Case(Layer.OPERATION):
                    m.next = "WEIGHTS"
                with m.Default():
                    m.d.comb += placer.begin.eq(1)
                    m.next = "PLACE"

            # ---- Copies.
            with m.State("PLACE"):
                m.d.comb += self.copying.eq(1)
                with m.If(placer.placed):
                    m.next = "COPY"
            with m.State("COPY"):
                m.d.comb += self.copying.eq(1)
                with m.If(placer.empty), m.If(~self.load_active):
                    following()
                with m.Elif(~self.engine_active & (operation == Store.OPERATION)):
                    with m.If(beyond):
                        m.d.comb += self.blame.code.eq(ErrorCode.OUTSIDE)
                        blames(FIELDS.index(("Store", "memory")))
                    with m.Else():
                        m.d.comb += self.store_start.eq(1)
                        m.next = "STORE"
                with m.Elif(~self.engine_active & ~self.load_active):
                    m.d.comb += self.load_requests.valid.eq(1)
                    with m.If(self.load_requests.ready):
                        m.d.comb += self.load_start.eq(1)
                        m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += self.copying.eq(1)
                with m.If(~self.load_active | (placer.load.when == When.AHEAD)):
                    following()
            with m.State("STORE"):
                m.d.comb += self.copying.eq(1)
                with m.If(~self.store_active):
                    following()

            # ---- Layers.
            with m.State("WEIGHTS"):
                # Places of raw results are numbers of 33 bits: none may begin beyond the memory.
                with m.If((layer.mode == Mode.RAW) & (layer.target >= self.output_size)):
                    m.d.comb += self.blame.code.eq(ErrorCode.OUTSIDE)
                    blames(FIELDS.index(("Layer", "target")))
                with m.Else():
                    m.d.comb += self.tasks.valid.eq(1)
                    with m.If(self.tasks.ready):
                        m.next = "RECORDS"
            with m.State("RECORDS"):
                m.d.comb += self.record_requests.valid.eq(1)
                with m.If(self.record_requests.ready):
                    m.next = "LAYER"
            with m.State("LAYER"):
                m.d.comb += self.layers.valid.eq(1)
                with m.If(self.layers.ready):
                    m.d.sync += self.layer_index.eq(self.index)
                    following()

            # ---- The end.
            with m.State("END"):
                m.d.comb += self.copying.eq(1)
                with m.If(~self.engine_active & ~self.load_active):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += [
                    self.copying.eq(1),
                    self.flush.eq(1),
                    self.finished.eq(~self.writing),
                ]
        return m

    def wire(self, m: Module, descriptor: Signal, loops: LoopCounter, placer: CopyPlacer) -> None:
        """Wire what is asked for, from the descriptor."""
        layer = descriptor_layout(Layer)(descriptor)
        read: Aggregate = self.requests.payload
        records: Aggregate = self.record_requests.payload
        load: Aggregate = self.load_requests.payload
        task: Aggregate = self.tasks.payload
        given: Aggregate = self.layers.payload
        # A table has 2 bytes an entry, and is read in units of 16.
        table = ((2 << layer.source_planes[:4]) + 15) >> 4
        m.d.comb += [
            loops.loop.eq(descriptor),
            placer.load.eq(descriptor),
            placer.loads.eq(descriptor[:_OPERATION_BITS] == Load.OPERATION),
            placer.image.eq(loops.image),
            placer.last.eq(loops.last),
            self.copy.eq(placer.copy),
            self.store_offset.eq(placer.offset),
            read.offset.eq(self.index << exact_log2(DESCRIPTOR_BYTES)),
            read.bytes.eq(DESCRIPTOR_BYTES),
            read.index.eq(self.index),
            records.offset.eq(layer.parameters << 4),
            records.bytes.eq(Mux(layer.mode == Mode.TABLE, table, layer.outputs) << 4),
            records.index.eq(self.index),
            load.offset.eq(placer.offset),
            load.bytes.eq(placer.size),
            load.index.eq(self.index),
            task.layer.eq(descriptor),
            task.index.eq(self.index),
            given.descriptor.eq(descriptor),
            given.image.eq(loops.image),
        ]
