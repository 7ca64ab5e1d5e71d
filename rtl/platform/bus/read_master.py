"""Read master: bursts of several channels on one bus."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, fifo, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from adq.rtl.platform.bus.axi import BURST_INCREMENTING, CACHE_BUFFERABLE, Response, read_ports
from adq.rtl.platform.bus.gearbox import beat_layout
from adq.rtl.platform.bus.read_channel import INDEX_BITS, burst_layout
from adq.rtl.port_types import Aggregate, Component, Words, structure

__all__ = ["OUTSTANDING", "ReadMaster"]

OUTSTANDING = 8
"""Most bursts that are under way."""


class ReadMaster(Component):
    """Sends bursts of AXI4, and gives beats to the channel that asked for them.

    The first channel that offers a burst is served first. Answers come in order. Channels have room
    for what they ask for; should they be reset, what is under way still arrives, and is lost.

    Throughput: a burst a cycle, a beat a cycle.

    Members
    -------
    m_axi_ar*, m_axi_r* : channels of AXI4
    bases : array of 64 bits, In
        Address of each channel's memory; a multiple of 4096.
    bursts_0, ... : streams of :func:`adq.rtl.platform.bus.read_channel.burst_layout`, In
    stop : In
        Take no more bursts.
    idle : Out
        Nothing is under way.
    moves : Out
        A beat, or an address, is taken.
    arrived : one bit a channel, Out
    beat : :func:`adq.rtl.platform.bus.gearbox.beat_layout` in bytes, Out
        The beat that arrives.
    failed : one bit a channel, Out
        The beat that arrives is an error, of the descriptor ``index``.
    decode : Out
        The error is DECERR, not SLVERR.
    """

    bases: Words
    stop: Signal
    idle: Signal
    moves: Signal
    arrived: Signal
    beat: Aggregate
    failed: Signal
    index: Signal
    decode: Signal

    def __init__(self, bits: int, channels: int):
        self.bits = bits
        self.channels = channels
        super().__init__(
            {
                **read_ports("m_axi", bits),
                "bases": In(data.ArrayLayout(64, channels)),
                **{
                    f"bursts_{each}": In(stream.Signature(burst_layout(bits)))
                    for each in range(channels)
                },
                "stop": In(1),
                "idle": Out(1),
                "moves": Out(1),
                "arrived": Out(channels),
                "beat": Out(beat_layout(bits, 8)),
                "failed": Out(channels),
                "index": Out(INDEX_BITS),
                "decode": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = {
            name: getattr(self, f"m_axi_{name}")
            for name in (
                *("arvalid", "arready", "araddr", "arlen", "arsize", "arburst", "arcache"),
                *("rvalid", "rready", "rdata", "rresp", "rlast"),
            )
        }
        m.d.comb += [
            port["arsize"].eq(exact_log2(self.bits // 8)),
            port["arburst"].eq(BURST_INCREMENTING),
            port["arcache"].eq(CACHE_BUFFERABLE),
        ]
        # An entry for each burst that is under way.
        entry = data.StructLayout(
            {
                "channel": range(self.channels),
                "skip": range(self.bits // 8),
                "drop": range(self.bits // 8),
                "index": INDEX_BITS,
            }
        )
        m.submodules.under_way = under_way = fifo.SyncFIFOBuffered(
            width=entry.size, depth=OUTSTANDING
        )
        room = Signal()
        m.d.comb += room.eq(~self.stop & (~port["arvalid"] | port["arready"]) & under_way.w_rdy)
        with m.If(port["arready"]):
            m.d.sync += port["arvalid"].eq(0)
        sent = structure(entry, name="sent")
        taken = Signal()
        free = room
        for each in range(self.channels):
            bursts = getattr(self, f"bursts_{each}")
            burst: Aggregate = bursts.payload
            m.d.comb += bursts.ready.eq(free)
            with m.If(free & bursts.valid):
                m.d.comb += [
                    taken.eq(1),
                    sent.channel.eq(each),
                    sent.skip.eq(burst.skip),
                    sent.drop.eq(burst.drop),
                    sent.index.eq(burst.index),
                ]
                m.d.sync += [
                    port["arvalid"].eq(1),
                    port["araddr"].eq(self.bases[each] + burst.offset),
                    port["arlen"].eq(burst.beats),
                ]
            free = free & ~bursts.valid
        m.d.comb += [under_way.w_en.eq(taken), under_way.w_data.eq(sent)]

        now = structure(entry, name="now")
        begins = Signal(init=1)
        arrives = Signal()
        m.d.comb += [
            now.eq(under_way.r_data),
            port["rready"].eq(under_way.r_rdy),
            arrives.eq(port["rvalid"] & port["rready"]),
            under_way.r_en.eq(arrives & port["rlast"]),
            self.beat.data.eq(port["rdata"]),
            self.beat.skip.eq(Mux(begins, now.skip, 0)),
            self.beat.drop.eq(Mux(port["rlast"], now.drop, 0)),
            self.arrived.eq(Mux(arrives, 1 << now.channel, 0)),
            self.failed.eq(Mux(arrives & port["rresp"][1], self.arrived, 0)),
            self.decode.eq(port["rresp"] == Response.DECERR),
            self.index.eq(now.index),
            self.moves.eq(arrives | (port["arvalid"] & port["arready"])),
            self.idle.eq(~port["arvalid"] & (under_way.r_level == 0)),
        ]
        with m.If(arrives):
            m.d.sync += begins.eq(port["rlast"])
        return m
