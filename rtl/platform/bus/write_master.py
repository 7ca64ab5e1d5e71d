"""Write master: collects writes of neighbouring bytes into beats, and beats into bursts."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, fifo, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.axi import BURST_INCREMENTING, CACHE_BUFFERABLE, Response, write_ports
from adq.rtl.platform.bus.lane_writer import write_layout
from adq.rtl.platform.bus.read_channel import BURST_BEATS, PAGE_BYTES
from adq.rtl.port_types import Aggregate, Component, Stream, structure

__all__ = ["WriteMaster"]

_RUNS = 4
"""Bursts whose addresses wait to be sent."""


class WriteMaster(Component):
    """Writes by bursts of AXI4.

    The last beat is kept until a write of another beat comes, or ``flush``: a burst is sent when
    the beat behind it does not belong to it. Data follow their address.

    Throughput: a beat a cycle.

    Members
    -------
    m_axi_aw*, m_axi_w*, m_axi_b* : channels of AXI4
    base : In
        Address of the memory; a multiple of 4096. It stands until ``idle``.
    writes : stream of :func:`adq.rtl.platform.bus.lane_writer.write_layout`, In
    flush : In
        Nothing follows for now: send what was collected.
    idle : Out
        Everything was written and answered.
    waits : Out
        The bus is asked for something: an address, a beat or an answer.
    moves : Out
        An address, a beat or an answer is taken.
    sent : Out
        A beat is taken.
    failed : Out
        The answer of this cycle is an error.
    decode : Out
        The error is DECERR, not SLVERR.
    """

    base: Signal
    writes: Stream
    flush: Signal
    idle: Signal
    waits: Signal
    moves: Signal
    sent: Signal
    failed: Signal
    decode: Signal

    def __init__(self, bits: int):
        self.bits = bits
        super().__init__(
            {
                **write_ports("m_axi", bits),
                "base": In(64),
                "writes": In(stream.Signature(write_layout(bits))),
                "flush": In(1),
                "idle": Out(1),
                "waits": Out(1),
                "moves": Out(1),
                "sent": Out(1),
                "failed": Out(1),
                "decode": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = write_layout(self.bits)
        port = {
            name: getattr(self, f"m_axi_{name}")
            for name in (
                *("awvalid", "awready", "awaddr", "awlen", "awsize", "awburst", "awcache"),
                *("wvalid", "wready", "wdata", "wstrb", "wlast", "bvalid", "bready", "bresp"),
            )
        }
        log = exact_log2(self.bits // 8)
        m.d.comb += [
            port["awsize"].eq(log),
            port["awburst"].eq(BURST_INCREMENTING),
            port["awcache"].eq(CACHE_BUFFERABLE),
        ]

        # ---- Writes of one beat are put together.
        given: Aggregate = self.writes.payload
        beat = structure(layout, name="beat")
        beat_valid = Signal()
        beat_moves = Signal()
        same = beat_valid & (given.place == beat.place)
        m.d.comb += self.writes.ready.eq(~beat_valid | same | beat_moves)
        leaves = Signal()
        m.d.comb += leaves.eq(beat_valid & ((self.writes.valid & ~same) | self.flush))
        with m.If(beat_moves):
            m.d.sync += beat_valid.eq(0)
        with m.If(self.writes.valid & self.writes.ready):
            m.d.sync += [beat_valid.eq(1), beat.place.eq(given.place)]
            with m.If(beat_valid & ~beat_moves):
                m.d.sync += beat.strobe.eq(beat.strobe | given.strobe)
            with m.Else():
                m.d.sync += beat.strobe.eq(given.strobe)
            for byte in range(self.bits // 8):
                with m.If(given.strobe[byte]):
                    m.d.sync += beat.data.word_select(byte, 8).eq(given.data.word_select(byte, 8))

        # ---- Beats that follow each other are put together; the last one is held.
        held = structure(layout, name="held")
        held_valid = Signal()
        count = Signal(range(BURST_BEATS))  # beats of the burst before the one held
        start = Signal.like(beat.place)
        run = data.StructLayout({"place": len(beat.place), "beats": 8})
        m.submodules.runs = runs = fifo.SyncFIFOBuffered(width=run.size, depth=_RUNS)
        m.submodules.data = queue = fifo.SyncFIFOBuffered(
            width=self.bits + self.bits // 8 + 1, depth=BURST_BEATS
        )
        page = exact_log2(PAGE_BYTES * 8 // self.bits)
        follows = (
            (beat.place == held.place + 1) & (beat.place[:page] != 0) & (count != BURST_BEATS - 1)
        )
        ends = Signal()
        can = Signal()
        new_run = structure(run, name="new_run")
        m.d.comb += [
            ends.eq(~(leaves & follows)),
            can.eq(queue.w_rdy & (~ends | runs.w_rdy)),
            beat_moves.eq(leaves & (~held_valid | can)),
            queue.w_en.eq(held_valid & can & (leaves | (self.flush & ~beat_valid))),
            queue.w_data.eq(Cat(held.data, held.strobe, ends)),
            new_run.place.eq(start),
            new_run.beats.eq(count),
            runs.w_en.eq(queue.w_en & ends),
            runs.w_data.eq(new_run),
        ]
        with m.If(queue.w_en):
            m.d.sync += [held_valid.eq(0), count.eq(count + 1)]
        with m.If(beat_moves):
            m.d.sync += [held.eq(beat), held_valid.eq(1)]
            with m.If(~held_valid | ends):
                m.d.sync += [start.eq(beat.place), count.eq(0)]

        # ---- Addresses, data behind them, answers.
        owed = Signal(range(2 * BURST_BEATS))  # bursts whose address was taken, and not all data
        answers = Signal(8)  # bursts that are not answered
        first: Aggregate = structure(run, name="first")
        addressed = Signal()
        ended = Signal()
        answered = Signal()
        m.d.comb += [
            first.eq(runs.r_data),
            port["awaddr"].eq(self.base + (first.place << log)),
            port["awlen"].eq(first.beats),
            addressed.eq(port["awvalid"] & port["awready"]),
            runs.r_en.eq(addressed),
            port["wvalid"].eq(queue.r_rdy & (owed != 0)),
            port["wdata"].eq(queue.r_data),
            port["wstrb"].eq(queue.r_data[self.bits :]),
            port["wlast"].eq(queue.r_data[-1]),
            self.sent.eq(port["wvalid"] & port["wready"]),
            queue.r_en.eq(self.sent),
            ended.eq(self.sent & port["wlast"]),
            port["bready"].eq(1),
            answered.eq(port["bvalid"]),
            self.failed.eq(answered & port["bresp"][1]),
            self.decode.eq(port["bresp"] == Response.DECERR),
            self.waits.eq(port["awvalid"] | (answers != 0)),
            self.moves.eq(addressed | self.sent | answered),
            self.idle.eq(~beat_valid & ~held_valid & (runs.r_level == 0) & (answers == 0)),
        ]
        # An address that is offered stays offered: the count of answers only falls meanwhile.
        m.d.comb += port["awvalid"].eq(runs.r_rdy & ~answers[-1] & ~owed[-1])
        m.d.sync += [
            owed.eq(owed + addressed - ended),
            answers.eq(answers + addressed - answered),
        ]
        return m
