"""Host of a simulated platform: registers and a memory, by the models of cocotbext-axi."""

import logging
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from adq.verif.simulation.drivers.platform_driver import Area, PlatformDriver

__all__ = ["INPUTS", "OUTPUTS", "PERIOD", "PROGRAM", "AxiHost", "AxiRegisters"]

PERIOD = 2
"""Clock period, in nanoseconds."""

PROGRAM, INPUTS, OUTPUTS = 0x1_0000_0000, 0x2_0000_0000, 0x3_0000_0000
"""Addresses of the memories."""


class AxiRegisters:
    """Registers behind AXI4-Lite."""

    def __init__(self, master: AxiLiteMaster):
        self.master = master

    async def read(self, address: int) -> int:
        """Return the register at an address."""
        return int.from_bytes((await self.master.read(address, 4)).data, "little")

    async def write(self, address: int, value: int) -> None:
        """Write the register at an address."""
        await self.master.write(address, value.to_bytes(4, "little"))


class AxiHost:
    """A host: a driver on AXI4-Lite, and a memory on AXI4.

    Parameters
    ----------
    dut
        Platform of :class:`adq.rtl.platform.host.platform.Platform`.
    memory
        Class of the memory on the bus, which takes what :class:`cocotbext.axi.AxiRam` takes.

    """

    def __init__(self, dut: Any, memory: type = AxiRam):
        for name in ("s_axi", "m_axi"):  # a line an access
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.WARNING)
        self.dut = dut
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.memory = memory(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=2**48)
        self.driver = PlatformDriver(AxiRegisters(self.master), self._interrupt)

    async def begin(self) -> None:
        """Start the clock, and reset the platform."""
        Clock(self.dut.clk, PERIOD, unit="ns").start()
        await self.reset()

    async def reset(self) -> None:
        """Reset the platform for some cycles."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def start(
        self, program: bytes, inputs: bytes, output_bytes: int, *, timeout: int = 0
    ) -> None:
        """Write the memories, and start a program."""
        self.memory.write(PROGRAM, program)
        self.memory.write(INPUTS, inputs)
        self.memory.write(OUTPUTS, bytes(output_bytes))
        await self.driver.start(
            Area(PROGRAM, len(program)),
            Area(INPUTS, len(inputs)),
            Area(OUTPUTS, output_bytes),
            timeout=timeout,
        )

    def outputs(self, size: int) -> bytes:
        """Return the output memory."""
        return bytes(self.memory.read(OUTPUTS, size))

    async def _interrupt(self) -> None:
        if not int(self.dut.irq.value):
            await RisingEdge(self.dut.irq)
