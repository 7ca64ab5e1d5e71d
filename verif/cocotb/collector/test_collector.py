"""The collector, against sums of Python's integers."""

import cocotb

from verif.cocotb.bench import TILE
from verif.cocotb.collector.bench import CollectorBench
from verif.cocotb.plans import MOST_VECTORS, malformed_plans, random_plan
from verif.cocotb.streams import BACK_PRESSURES, IDLES


def random_jobs(bench: CollectorBench, count: int) -> list:
    """Jobs of every shape, those of single planes and vectors often."""
    return [
        random_plan(
            bench.random,
            vectors=bench.random.randint(1, min(MOST_VECTORS, 5)),
            row_blocks=bench.random.randint(1, min(TILE.row_blocks, 4)),
            activation_bits=bench.random.choice((0, 1)),
        )
        for _ in range(count)
    ]


@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=list(BACK_PRESSURES), extreme=[False, True])
async def row_blocks_accumulate(dut, idle, stall, extreme):
    """Jobs of every shape and malformed ones, a plane a cycle or with pauses."""
    bench = CollectorBench(dut, idle=idle, stall=stall)
    await bench.start()
    jobs = random_jobs(bench, 20) + bench.random.sample(malformed_plans(), 5)
    bench.random.shuffle(jobs)
    await bench.check([s for job in jobs for s in bench.stages(job, extreme=extreme)])


@cocotb.test()
async def longest_jobs(dut):
    """As many vectors over two row blocks, and as many row blocks, as there may be; extreme sums
    reach the ends of the results' range. At most 1000 of either.
    """
    bench = CollectorBench(dut)
    await bench.start()
    most = min(TILE.row_blocks, 1000)
    jobs = [
        random_plan(bench.random, vectors=vectors, row_blocks=row_blocks, activation_bits=bits)
        for vectors, row_blocks in (
            (min(MOST_VECTORS, 1000), min(TILE.row_blocks, 2)),
            (1, most),
        )
        for bits in (1, TILE.max_activation_bits)
    ]
    await bench.check([s for job in jobs for s in bench.stages(job, extreme=True)])


@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """In every cycle of jobs of several blocks; what follows is as after the first reset."""
    bench = CollectorBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 30):
        await bench.reset()
        jobs = random_jobs(bench, 3)
        await bench.check([s for job in jobs for s in bench.stages(job)], cycles=cycles)
        await bench.reset()
        await bench.check([s for job in random_jobs(bench, 2) for s in bench.stages(job)])
