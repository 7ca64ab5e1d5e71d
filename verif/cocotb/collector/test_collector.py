"""Tests of the collector against sums in Python integers."""

import itertools

import cocotb

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.collector.bench import CollectorBench
from adq.verif.cocotb.plans import MOST_VECTORS, JobPlan, malformed_plans, random_plan
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES
from adq.verif.simulation.testpoints import shows

EVERY_NUMBER_OF_PLANES = range(1, TILE.max_activation_bits + 1)


def random_jobs(bench: CollectorBench, count: int) -> list:
    """Return random jobs of any shape, often with single planes or vectors."""
    return [
        random_plan(
            bench.random,
            vectors=bench.random.randint(1, min(MOST_VECTORS, 5)),
            row_blocks=bench.random.randint(1, min(TILE.row_blocks, 4)),
            activation_bits=bench.random.choice((0, 1)),
        )
        for _ in range(count)
    ]


def plan_of(weight_bits: int, planes: list[list[int]]) -> JobPlan:
    """Return a job with the given number of planes for each row block and vector."""
    return JobPlan(
        weight_bits,
        activation_bits=TILE.max_activation_bits,
        signed=0,
        vectors=len(planes[0]),
        row_blocks=len(planes),
        planes=[[list(range(count)) for count in block] for block in planes],
    )


@shows("shift_add.row_blocks", "tile.streams")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=list(BACK_PRESSURES), extreme=[False, True])
async def row_blocks_accumulate(dut, idle, stall, extreme):
    """Run jobs of any shape and malformed jobs, one plane per cycle or with pauses."""
    bench = CollectorBench(dut, idle=idle, stall=stall)
    await bench.start()
    jobs = random_jobs(bench, 20) + bench.random.sample(malformed_plans(), 5)
    bench.random.shuffle(jobs)
    sum_of = bench.lowest_sum if extreme else None
    await bench.check([s for job in jobs for s in bench.stages(job, sum_of)])


@shows("shift_add.places")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def every_place(dut, stall):
    """Run vectors of every weight width and number of planes, before and after longer vectors.

    The low bits of a sum are all 1, all 0, or all equal but one; its total is -1, 0 or random. Each
    vector runs alone, and before and after a vector of 16 planes and of wider weights. Bits that
    the longer vector left in the registers must not appear in any sum, and the bits of the next
    vector arrive while a result waits.
    """
    bench = CollectorBench(dut, stall=stall)
    await bench.start()
    most = TILE.max_activation_bits
    widest = TILE.weight_widths[-1]

    def sum_of(weight_bits: int, planes: int) -> int:
        ones = 2 ** (planes - 1) - 1
        one = 2 ** bench.random.randrange(planes) & ones
        low = bench.random.choice((0, ones, one, ones ^ one))
        total = bench.random.choice((0, -1, bench.random_sum(weight_bits, planes) >> (planes - 1)))
        return (total << (planes - 1)) | low

    def opposite(weight_bits: int, planes: int) -> int:
        """Return a sum whose bits are all 1, or all 0 below the sign bits."""
        return bench.random.choice((-1, bench.lowest_sum(weight_bits, 1) << (planes - 1)))

    stages = []
    cases = list(itertools.product(TILE.weight_widths, EVERY_NUMBER_OF_PLANES))
    bench.random.shuffle(cases)
    for weight_bits, planes in cases:
        vectors = [most, planes, planes, most, planes][: TILE.vectors]
        stages += bench.stages(plan_of(widest, [[most]]), opposite)
        for count in vectors:
            stages += bench.stages(plan_of(weight_bits, [[count]]), sum_of)
        stages += bench.stages(plan_of(weight_bits, [vectors]), sum_of)
    await bench.check(stages)


@shows("shift_add.row_blocks")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def partial_sums_meet_every_place(dut, stall):
    """Accumulate row blocks whose vectors have different numbers of planes, for every weight width.

    The partial sum must be added both to the total and to the low bits below it.
    """
    bench = CollectorBench(dut, stall=stall)
    await bench.start()
    vectors, blocks = min(MOST_VECTORS, 3), min(TILE.row_blocks, 3)
    stages = []
    for weight_bits, planes in itertools.product(TILE.weight_widths, EVERY_NUMBER_OF_PLANES):
        counts = [
            [bench.random.choice((planes, 1, TILE.max_activation_bits)) for _ in range(vectors)]
            for _ in range(blocks)
        ]
        counts[bench.random.randrange(blocks)][0] = planes
        # Sums of -1, 0 and 1 propagate carries from the lowest bit through all ones.
        beside_zero = bench.random.random() < 0.5
        sum_of = (lambda *_: bench.random.choice((-1, 0, 1))) if beside_zero else None
        stages += bench.stages(plan_of(weight_bits, counts), sum_of)
    await bench.check(stages)


@shows("shift_add.row_blocks", "shift_add.widths")
@cocotb.test()
async def longest_jobs(dut):
    """Run jobs with the maximum number of vectors or row blocks (at most 1000) and extreme sums."""
    bench = CollectorBench(dut)
    await bench.start()
    most = min(TILE.row_blocks, 1000)
    for vectors, row_blocks in ((min(MOST_VECTORS, 1000), min(TILE.row_blocks, 2)), (1, most)):
        for planes in (1, TILE.max_activation_bits):
            weight_bits = bench.random.choice(TILE.weight_widths)
            plan = plan_of(weight_bits, [[planes] * vectors] * row_blocks)
            await bench.check(bench.stages(plan, bench.lowest_sum))


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """Reset in every cycle of jobs with several blocks: later jobs run as after the first reset."""
    bench = CollectorBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 30):
        await bench.reset()
        jobs = random_jobs(bench, 3)
        await bench.check([s for job in jobs for s in bench.stages(job)], cycles=cycles)
        await bench.reset()
        await bench.check([s for job in random_jobs(bench, 2) for s in bench.stages(job)])
