"""Registers of the platform behind AXI4-Lite."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.bus.axi import Response, lite_ports
from adq.rtl.platform.host.register_table import (
    ADDRESS_BITS,
    COUNTERS,
    IDENTITY,
    MEMORIES,
    REGISTERS,
    VERSION,
    identity_of,
)
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Component

__all__ = ["Registers"]

_COUNTED = ("cycles", *COUNTERS, "read_beats", "write_beats")


class Registers(Component):
    """Registers of :data:`adq.rtl.platform.host.register_table.REGISTERS` behind AXI4-Lite.

    Reads and writes take turns of their own. Addresses without a register answer SLVERR; writes of
    a register that cannot be written change nothing.

    Members
    -------
    s_axi_* : channels of AXI4-Lite
    interrupt : Out
        Level: an event has occurred that is enabled, and not cleared.
    start, abort : Out
        The host asks for it, for one cycle.
    *_base, *_size, timeout : Out
        Values of registers.
    busy, done, failed, descriptor : In
        Fields of the register ``status``.
    error : In
        Value of the register ``error``.
    ends, fails : In
        The program ends, or is stopped, in this cycle.
    cycles, ..., write_beats : 64 bits each, In
        Values of counters.
    """

    interrupt: Signal
    start: Signal
    abort: Signal
    timeout: Signal
    busy: Signal
    done: Signal
    failed: Signal
    descriptor: Signal
    error: Signal
    ends: Signal
    fails: Signal

    def __init__(self, parameters: PlatformParameters):
        self.parameters = parameters
        super().__init__(
            {
                **lite_ports("s_axi", ADDRESS_BITS),
                "interrupt": Out(1),
                "start": Out(1),
                "abort": Out(1),
                **{f"{name}_base": Out(64) for name in MEMORIES},
                **{f"{name}_size": Out(32) for name in MEMORIES},
                "timeout": Out(32),
                "busy": In(1),
                "done": In(1),
                "failed": In(1),
                "descriptor": In(13),
                "error": In(32),
                "ends": In(1),
                "fails": In(1),
                **{name: In(64) for name in _COUNTED},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = {name: getattr(self, f"s_axi_{name}") for name in _CHANNELS}
        stored = {each.name: Signal(32, name=each.name) for each in REGISTERS if _stored(each.name)}
        events = stored["interrupt_status"]
        m.d.comb += [
            self.interrupt.eq((events & stored["interrupt_enable"]).any()),
            self.timeout.eq(stored["timeout"]),
        ]
        values: dict[str, Value] = {
            "identity": Const(IDENTITY, 32),
            "version": Const(VERSION, 32),
            "platform": Const(identity_of(self.parameters), 32),
            "control": Const(0, 32),
            "status": Cat(self.busy, self.done, self.failed, Const(0, 13), self.descriptor),
            "error": self.error,
            **stored,
        }
        for name in MEMORIES:
            base = Cat(stored[f"{name}_base_low"], stored[f"{name}_base_high"])
            m.d.comb += [
                getattr(self, f"{name}_base").eq(base),
                getattr(self, f"{name}_size").eq(stored[f"{name}_size"]),
            ]
        for name in _COUNTED:
            counter = getattr(self, name)
            values |= {f"{name}_low": counter[:32], f"{name}_high": counter[32:]}

        # ---- Reads.
        with m.If(port["rvalid"] & port["rready"]):
            m.d.sync += port["rvalid"].eq(0)
        m.d.comb += port["arready"].eq(~port["rvalid"] | port["rready"])
        with m.If(port["arvalid"] & port["arready"]):
            m.d.sync += port["rvalid"].eq(1)
            with m.Switch(port["araddr"][2:]):
                for each in REGISTERS:
                    with m.Case(each.address >> 2):
                        m.d.sync += [
                            port["rdata"].eq(values[each.name]),
                            port["rresp"].eq(Response.OKAY),
                        ]
                with m.Default():
                    m.d.sync += [port["rdata"].eq(0), port["rresp"].eq(Response.SLVERR)]

        # ---- Writes: address and data are taken together.
        writes = Signal()
        m.d.comb += [
            writes.eq(port["awvalid"] & port["wvalid"] & (~port["bvalid"] | port["bready"])),
            port["awready"].eq(writes),
            port["wready"].eq(writes),
        ]
        with m.If(port["bvalid"] & port["bready"]):
            m.d.sync += port["bvalid"].eq(0)
        mask = Cat(bit.replicate(8) for bit in port["wstrb"])
        given = port["wdata"] & mask
        cleared = Signal.like(events)
        with m.If(writes):
            m.d.sync += [port["bvalid"].eq(1), port["bresp"].eq(Response.OKAY)]
            with m.Switch(port["awaddr"][2:]):
                for each in REGISTERS:
                    with m.Case(each.address >> 2):
                        if each.name == "control":
                            m.d.comb += [self.start.eq(given[0]), self.abort.eq(given[1])]
                        elif each.access == "clear":
                            m.d.comb += cleared.eq(given)
                        elif each.access == "both":
                            kept = _kept(each.name)
                            value = stored[each.name]
                            m.d.sync += value.eq(((value & ~mask) | given) & kept)
                with m.Default():
                    m.d.sync += port["bresp"].eq(Response.SLVERR)
        m.d.sync += events.eq((events & ~cleared) | Cat(self.ends, self.fails))
        return m


_CHANNELS = [name.removeprefix("s_axi_") for name in lite_ports("s_axi", ADDRESS_BITS)]


def _stored(name: str) -> bool:
    """Return whether a register holds what was written, or events."""
    return next(each.access in ("both", "clear") for each in REGISTERS if each.name == name)


def _kept(name: str) -> int:
    """Return the bits of a register that can be set."""
    register = next(each for each in REGISTERS if each.name == name)
    mask = 0xFFFF_FFFF >> register.fixed << register.fixed
    if register.bits:
        mask = sum(((1 << bits.count) - 1) << bits.first for bits in register.bits)
    return mask
