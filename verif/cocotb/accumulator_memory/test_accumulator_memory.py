"""Tests of the accumulator memory against sums of lists."""

import cocotb

from adq.verif.cocotb.accumulator_memory.bench import AccumulatorMemoryBench, Job
from adq.verif.cocotb.accumulator_memory.sizes import ACCUMULATOR_MEMORIES
from adq.verif.simulation.testpoints import shows

BLOCKS = list(ACCUMULATOR_MEMORIES)


@shows("platform.accumulators")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS, pauses=[("never", "never"), ("often", "bursts")])
async def any_jobs(dut, block, pauses):
    """Run jobs of every weight width and of random lengths, with sums of every size."""
    idle, stall = pauses
    bench = AccumulatorMemoryBench(dut, block, idle=idle, stall=stall)
    await bench.start()
    most = bench.parameters.accumulator_bits
    for weight_bits in bench.tile.weight_widths:
        for bits in (most, bench.random.randint(1, most)):
            jobs = [bench.random_job() for _ in range(3)]
            await bench.check(jobs, weight_bits, bits)


@shows("platform.accumulators")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def every_width(dut, block):
    """Take results modulo 2 to the power of every width."""
    bench = AccumulatorMemoryBench(dut, block)
    await bench.start()
    for bits in range(1, bench.parameters.accumulator_bits + 1):
        weight_bits = bench.random.choice(bench.tile.weight_widths)
        await bench.check([bench.random_job(2, 2)], weight_bits, bits)


@shows("platform.accumulators")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def vectors_back_to_back(dut, block):
    """End a vector in every cycle, in row blocks of one and two vectors and across jobs."""
    bench = AccumulatorMemoryBench(dut, block)
    await bench.start()
    for vectors in (1, 2, 3):
        for weight_bits in bench.tile.weight_widths:
            jobs = [bench.random_job(vectors, 5) for _ in range(2)]
            await bench.check(jobs, weight_bits, bench.parameters.accumulator_bits)


@shows("platform.accumulators")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def every_stored_bit(dut, block):
    """Fill both halves with random sums, their complements, and the same sums again."""
    bench = AccumulatorMemoryBench(dut, block)
    await bench.start()
    p = bench.parameters
    for weight_bits in bench.tile.weight_widths:
        job = bench.random_job(p.accumulator_vectors, 1)
        complement = Job([[[~each for each in sums] for sums in rows] for rows in job.blocks])
        jobs = [job, job, complement, complement, job, job]
        await bench.check(jobs, weight_bits, p.accumulator_bits)


@shows("platform.accumulators")
@cocotb.test()
async def halves_are_freed(dut):
    """A half is free until its job begins and from its release on, whatever the other does."""
    bench = AccumulatorMemoryBench(dut, BLOCKS[0])
    await bench.start()
    await bench.cycle(weight_bits=1, accumulator_bits=30)
    bench.weight_bits, bench.accumulator_bits = 2, 30
    jobs = [bench.random_job(3, 2) for _ in range(4)]
    assert bench.read("free") == 3
    assert not bench.read("finished")
    filling = bench.start_soon(bench.fill(jobs))
    await bench.cycles(30)
    assert bench.read("free") == 0, "two jobs wait to be read"
    await bench.drain(jobs[0])
    await bench.cycles(20)
    assert bench.read("free") == 0, "the third job follows"
    for job in jobs[1:]:
        await bench.drain(job)
    await filling
    assert bench.read("free") == 3
    assert not bench.read("finished")


@shows("platform.accumulators")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while jobs are filled or read: the next ones are right, and begin in half 0."""
    bench = AccumulatorMemoryBench(dut, BLOCKS[0], stall="often")
    await bench.start()
    for wait in range(1, 40, 3):
        cut_off = [bench.random_job() for _ in range(3)]
        bench.start_soon(bench.check(cut_off, bench.random.choice((2, 4, 8, 16)), 40))
        await bench.cycles(wait)
        await bench.reset()
        await bench.check([bench.random_job(), bench.random_job(2)], 4, 30)
