"""Tests of the sequencer against lists of planes."""

import itertools

import cocotb

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.plans import MOST_VECTORS, JobPlan, malformed_plans, random_plan
from adq.verif.cocotb.sequencer.bench import SequencerBench
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows


def random_jobs(bench: SequencerBench, count: int) -> list[JobPlan]:
    """Return random jobs of any shape."""
    return [
        random_plan(
            bench.random,
            vectors=bench.random.randint(1, min(MOST_VECTORS, 4)),
            row_blocks=bench.random.randint(1, min(TILE.row_blocks, 3)),
        )
        for _ in range(count)
    ]


@shows("jobs.run", "jobs.malformed")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=[*IDLES])
async def good_and_malformed_jobs(dut, idle, stall):
    """Run every kind of malformed job between valid jobs of any shape, some with one plane."""
    bench = SequencerBench(dut, idle=idle, stall=stall)
    await bench.start()
    jobs = malformed_plans() + random_jobs(bench, 16)
    jobs += [
        random_plan(bench.random, vectors=1, row_blocks=1, activation_bits=1) for _ in range(8)
    ]
    bench.random.shuffle(jobs)
    await bench.check(jobs)


@shows("jobs.run")
@cocotb.test()
async def one_at_a_time(dut):
    """Run jobs of every number of planes and malformed jobs, one at a time."""
    bench = SequencerBench(dut)
    await bench.start()
    jobs = malformed_plans() + [
        random_plan(bench.random, vectors=1, row_blocks=1, activation_bits=bits)
        for bits in range(1, TILE.max_activation_bits + 1)
    ]
    bench.random.shuffle(jobs)
    for job in jobs:
        await bench.check([job])


@shows("jobs.run")
@cocotb.test()
async def longest_jobs(dut):
    """Run jobs with the maximum number of vectors and of row blocks, at most 1000."""
    bench = SequencerBench(dut)
    await bench.start()
    jobs = [
        random_plan(bench.random, vectors=min(TILE.vectors, 1000), row_blocks=1, activation_bits=1)
    ]
    jobs += [
        random_plan(
            bench.random, vectors=1, row_blocks=min(TILE.row_blocks, 1000), activation_bits=1
        )
    ]
    await bench.check(jobs)


@shows("jobs.run")
@cocotb.test()
async def every_precision(dut):
    """Run every weight width with every number of planes, signed and unsigned: 128 cases."""
    bench = SequencerBench(dut)
    await bench.start()
    await bench.check(
        [
            JobPlan(weight_bits, bits, signed, 1, 1, planes=[[list(range(bits))]])
            for weight_bits in TILE.weight_widths
            for bits in range(1, TILE.max_activation_bits + 1)
            for signed in (0, 1)
        ]
    )


@shows("tile.cycles")
@cocotb.test()
async def cycles_are_the_formula(dut):
    """Compare the cycles of consecutive jobs that never wait with ``job_cycles``."""
    bench = SequencerBench(dut)
    await bench.start()
    jobs = random_jobs(bench, 20)
    done = await bench.check(jobs)
    cycles = [after - before for before, after in itertools.pairwise(done)]
    assert cycles == [
        TILE.job_cycles(len(indices) for block in job.planes for indices in block)
        for job in jobs[1:]
    ]


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """Reset in every cycle of valid and malformed jobs: later jobs run as after the first reset."""
    bench = SequencerBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 40):
        await bench.reset()
        jobs = random_jobs(bench, 2) + malformed_plans()[:1] + random_jobs(bench, 4)
        await bench.check(jobs, cycles=cycles)
        await bench.reset()
        await bench.check(random_jobs(bench, 1) + malformed_plans()[-1:])
