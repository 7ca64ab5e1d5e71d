"""Test of activity counts of a binary counter against arithmetic by hand."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from adq.verif.simulation.testpoints import shows


@shows("switching.counted")
@cocotb.test()
async def counts_by_hand(dut):
    """Check that 16 steps of a 4-bit counter toggle 16 + 8 + 4 + 2 bits and clock 16 * 4."""
    cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())

    def counts():
        value = int(dut.switching.value)
        return tuple((value >> (64 * i)) & (2**64 - 1) for i in range(3))

    dut.enable.value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 4)
    before = counts()
    await ClockCycles(dut.clk, 8)
    assert counts() == before, "an idle design does not toggle"

    dut.enable.value = 1
    await ClockCycles(dut.clk, 16)
    dut.enable.value = 0
    await ClockCycles(dut.clk, 3)
    toggles, clocked, enabled = (now - then for now, then in zip(counts(), before, strict=True))
    assert toggles == 16 + 8 + 4 + 2
    assert clocked == 16 * 4
    assert enabled == 16
