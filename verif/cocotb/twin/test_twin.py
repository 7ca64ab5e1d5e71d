"""Test that plays a schedule into a tile with switching counters."""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from adq.verif.signoff.regression.twin import INPUTS, RESET_CYCLES, Driver, Schedule
from adq.verif.simulation.testpoints import shows


@shows("simulators.agree")
@cocotb.test()
async def schedule(dut):
    """Play the schedule, and write results and switching counts to ``twin.json``.

    Each result has its cycle. Switching is read after reset and at the end.
    """
    given = Schedule(**json.loads(Path("schedule.json").read_text()))
    driver, switching = Driver(given), []
    ports = [f"{name}__{wire}" for name in INPUTS for wire in ("valid", "ready")]
    ports += [f"results__{wire}" for wire in ("valid", "ready", "payload")]
    dut.counter_address.value = 0
    cocotb.start_soon(Clock(dut.clk, 2, unit="ns").start())
    for cycle in range(given.cycles):
        await RisingEdge(dut.clk)
        for name, value in driver.inputs().items():
            getattr(dut, name).value = value
        await FallingEdge(dut.clk)
        driver.outputs({name: int(getattr(dut, name).value) for name in ports})
        if cycle in (RESET_CYCLES + 1, given.cycles - 1):
            switching.append(int(dut.switching.value))
    Path("twin.json").write_text(json.dumps({"results": driver.results, "switching": switching}))
    assert len(switching) == 2, "the schedule is too short"
