"""Runs a program on a simulated platform, from one start to one interrupt.

The program and the input memory are files in the folder of the run; the output memory, and the
counters, are left beside them; see :mod:`adq.verif.simulation.program_runs.run`.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, First, RisingEdge

from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.simulation.drivers.axi_host import AxiHost
from adq.verif.simulation.testpoints import shows

OUTPUTS, RUN = "outputs", "run.json"
"""Names of the files that are left behind."""


@shows("platform.host", "platform.counters")
@cocotb.test()
async def program(dut: Any) -> None:
    """The program ends with an interrupt, within the cycles that are given."""
    folder = Path(os.environ["ADQ_FOLDER"])
    specification = json.loads(os.environ["ADQ_RUN"])
    host = AxiHost(dut)
    await host.begin()
    await host.driver.check(PlatformParameters(**json.loads(os.environ["ADQ_PLATFORM"])))
    memory = (folder / specification["program"]).read_bytes()
    inputs = (folder / specification["inputs"]).read_bytes()
    size = specification["output_bytes"]
    await host.start(memory, inputs, size)
    await First(RisingEdge(dut.irq), ClockCycles(dut.clk, specification["patience"]))
    assert int(dut.irq.value), f"no interrupt in {specification['patience']} cycles"
    error = await host.driver.wait()
    assert error is None, f"the platform stopped: {error}"
    counters = await host.driver.counters()
    (folder / specification["name"]).mkdir(exist_ok=True)
    (folder / specification["name"] / OUTPUTS).write_bytes(host.outputs(size))
    (folder / specification["name"] / RUN).write_text(json.dumps(asdict(counters)))
