"""Tests of the performance counters against Python integers."""

import cocotb

from adq.rtl.interface import Counter
from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.counters.bench import CountersBench
from adq.verif.simulation.testpoints import shows

EXCLUSIVE = [counter for counter in Counter if counter < Counter.PLANES_SKIPPED]


@shows("tile.counters", exhaustive=True)
@cocotb.test()
async def every_event(dut):
    """Count every combination of activity, skipped planes and end of a job: 204 cases."""
    bench = CountersBench(dut)
    await bench.start()
    for activity in EXCLUSIVE:
        for planes_skipped in range(TILE.max_activation_bits + 1):
            for job_done in (False, True):
                await bench.step(activity, planes_skipped=planes_skipped, job_done=job_done)
    for _ in range(100):
        await bench.step(Counter.IDLE)


@shows("tile.counters")
@cocotb.test()
async def random_events_and_resets(dut):
    """Count random events, with resets at random times: a reset clears every counter."""
    bench = CountersBench(dut)
    await bench.start()
    for _ in range(40):
        await bench.reset()
        for _ in range(bench.random.randint(1, 60)):
            await bench.random_step()


@shows("tile.counters", "tile.counters", exhaustive=True)
@cocotb.test() if TILE.counter_bits <= 10 else left_out  # 32 bits take too long
async def every_counter_wraps(dut):
    """Count each counter over its maximum to zero, with every carry into its upper bits."""
    bench = CountersBench(dut)
    await bench.start()
    for counter in Counter:
        events = {
            "activity": counter if counter in EXCLUSIVE else Counter.IDLE,
            "planes_skipped": int(counter is Counter.PLANES_SKIPPED),
            "job_done": counter is Counter.JOBS_DONE,
        }
        for _ in range(2**TILE.counter_bits + 2):
            await bench.step(**events)
