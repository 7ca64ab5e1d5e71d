"""The platform with clock and reset by the names and levels of AXI."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.platform.host.platform import Platform
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.port_types import Component

__all__ = ["AxiPlatform"]


class AxiPlatform(Component):
    """:class:`adq.rtl.platform.host.platform.Platform` for other projects.

    Members
    -------
    aclk, aresetn : In
        Clock, and reset: low, synchronous.
    s_axi_* : AXI4-Lite, 32 bits
    m_axi_* : AXI4, ``bus_bits`` bits
    irq : Out
        Level: the interrupt.
    """

    aclk: Signal
    aresetn: Signal
    irq: Signal

    def __init__(self, parameters: PlatformParameters):
        self.core = Platform(parameters)
        super().__init__({"aclk": In(1), "aresetn": In(1), **self.core.ports, "irq": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain(local=True)
        m.submodules.core = core = self.core
        m.d.comb += [
            ClockSignal().eq(self.aclk),
            ResetSignal().eq(~self.aresetn),
            self.irq.eq(core.irq),
        ]
        for name, port in core.ports.items():
            outer, inner = getattr(self, name), getattr(core, name)
            m.d.comb += outer.eq(inner) if port.flow == Out else inner.eq(outer)
        return m
