"""Tests of the platform with its bus: random programs against the interpreter."""

import cocotb

from adq.verif.cocotb.host.bench import HostBench, random_program
from adq.verif.simulation.testpoints import shows


@shows("platform.host", "platform.counters")
@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.3, 0.8])
async def any_programs(dut, share):
    """Run random programs one after another, on a bus that waits."""
    bench = HostBench(dut)
    await bench.begin()
    await bench.driver.check(bench.platform)
    if share:
        bench.memory.wait_at_random(bench.random, share)
    for loops in ((), (2,), (2, 2)):
        await bench.run(random_program(bench, loops=loops))
