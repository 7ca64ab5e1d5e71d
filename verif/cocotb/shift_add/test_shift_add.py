"""Tests of the shift-add against sums of products in Python integers."""

import itertools

import cocotb
import numpy as np

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.plans import MOST_VECTORS, JobPlan, malformed_plans, random_plan
from adq.verif.cocotb.shift_add.bench import ShiftAddBench, ShiftAddJob
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES
from adq.verif.simulation.testpoints import shows

MOST_EXHAUSTED = 512
"""Maximum vectors of an exhaustive test. Precisions that take more have only random tests."""


def plain_plan(weight_bits: int, activation_bits: int, signed: int, vectors: int = 1) -> JobPlan:
    """Return a job of one row block whose vectors have all their planes."""
    planes = [[list(range(activation_bits))] * vectors]
    return JobPlan(weight_bits, activation_bits, signed, vectors, 1, planes=planes)


def random_jobs(bench: ShiftAddBench, count: int, *, extreme: bool = False) -> list[ShiftAddJob]:
    """Return random jobs of any shape."""
    return [
        bench.random_counts(
            random_plan(
                bench.random,
                vectors=bench.random.randint(1, min(MOST_VECTORS, 4)),
                row_blocks=bench.random.randint(1, min(TILE.row_blocks, 3)),
                activation_bits=bench.random.choice((0, 1)),
            ),
            extreme=extreme,
        )
        for _ in range(count)
    ]


@shows("jobs.malformed", "shift_add.products", "tile.streams")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=list(BACK_PRESSURES))
async def every_shape(dut, idle, stall):
    """Run jobs of all precisions and shapes in random order, mixed with malformed jobs."""
    bench = ShiftAddBench(dut, idle=idle, stall=stall)
    await bench.start()
    jobs = random_jobs(bench, 20) + random_jobs(bench, 4, extreme=True)
    jobs += [ShiftAddJob(plan, np.empty(0)) for plan in bench.random.sample(malformed_plans(), 8)]
    bench.random.shuffle(jobs)
    await bench.check(jobs)


@shows("shift_add.products")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def every_precision(dut, weight_bits):
    """Run activations of 1 to 16 bits, signed and unsigned: 128 cases over all weight widths."""
    bench = ShiftAddBench(dut)
    await bench.start()
    await bench.check(
        [
            bench.random_counts(plain_plan(weight_bits, activation_bits, signed), extreme=extreme)
            for activation_bits in range(1, TILE.max_activation_bits + 1)
            for signed in (0, 1)
            for extreme in (False, True)
        ]
    )


@shows("planes.skipped", "shift_add.places")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), stall=["never", "often"])
async def empty_planes(dut, weight_bits, stall):
    """Run vectors of 1 to 16 planes with empty planes: the lowest, inner, all inner, or none.

    The jobs have single vectors of every length, or several vectors, in which a vector of one plane
    directly follows a vector of 16 planes. Some vectors are all zeros.
    """
    bench = ShiftAddBench(dut, stall=stall)
    await bench.start()
    most = TILE.max_activation_bits

    def empty_of(planes: int) -> range:
        """Choose the empty planes. The last plane is empty only in a vector of zeros."""
        ends = sorted(bench.random.randrange(planes) for _ in range(2))
        some = [range(ends[0]), range(*ends), range(1, planes - 1), range(0)]
        return bench.random.choice(some if planes > 1 else [range(1), range(0)])

    jobs = []
    for length in bench.random.sample(range(1, most + 1), most):
        for several in (False, True):
            lengths = [length, most, 1, 1, most, length] if several else [length]
            lengths = lengths[: min(TILE.vectors, MOST_VECTORS)]
            row_blocks = min(TILE.row_blocks, 2) if several else 1
            blocks = [lengths, lengths[::-1]][:row_blocks]
            planes = [[list(range(count)) for count in block] for block in blocks]
            signed = bench.random.randrange(2)
            plan = JobPlan(weight_bits, most, signed, len(lengths), row_blocks, planes=planes)
            counts = bench.rng.integers(0, TILE.rows + 1, (sum(map(sum, blocks)), TILE.columns))
            first = 0
            for count in itertools.chain(*blocks):
                counts[[first + index for index in empty_of(count)]] = 0
                first += count
            jobs.append(ShiftAddJob(plan, counts))
    await bench.check(jobs)


def vectors_of_all(weight_bits: int, activation_bits: int) -> int:
    """Return the vectors that cover every combination of counts over columns and planes."""
    cases = (TILE.rows + 1) ** (weight_bits * activation_bits)
    return -(-cases // TILE.outputs(weight_bits))


@shows("shift_add.products", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(
    (
        ("weight_bits", "activation_bits"),
        [
            (kw, kx)
            for kw in TILE.weight_widths
            for kx in range(1, TILE.max_activation_bits + 1)
            if vectors_of_all(kw, kx) <= MOST_EXHAUSTED
        ],
    ),
    signed=[0, 1],
)
async def every_operand(dut, weight_bits, activation_bits, signed):
    """Run every combination of counts over columns and planes: ``(rows + 1)**(kw * kx)`` cases."""
    bench = ShiftAddBench(dut)
    await bench.start()
    outputs = TILE.outputs(weight_bits)
    cases = list(itertools.product(range(TILE.rows + 1), repeat=weight_bits * activation_bits))
    counts = np.resize(
        np.array(cases), (-(-len(cases) // outputs), outputs, activation_bits, weight_bits)
    )
    planes = counts.transpose(0, 2, 1, 3).reshape(-1, activation_bits, TILE.columns)
    most = min(TILE.vectors, 100)
    await bench.check(
        [
            ShiftAddJob(
                plain_plan(weight_bits, activation_bits, signed, vectors=len(some)),
                some.reshape(-1, TILE.columns),
            )
            for some in (planes[n : n + most] for n in range(0, len(planes), most))
        ]
    )


@shows("tile.cycles")
@cocotb.test()
async def latency_is_the_formula(dut):
    """Compare the cycles from the last plane at the input to the result with ``latency``."""
    bench = ShiftAddBench(dut)
    await bench.start()
    for weight_bits in TILE.weight_widths:
        await bench.check([bench.random_counts(plain_plan(weight_bits, 3, 0))])
        result, _ = bench.monitors["results"].taken[-1]
        # A plane reaches the input one cycle after the tile takes it.
        assert result - bench.last_plane == TILE.latency(weight_bits) - 1


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """Reset in every cycle of jobs of both latencies: later jobs run as after the first reset."""
    bench = ShiftAddBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 25):
        await bench.reset()
        bench.start_soon(bench.check(random_jobs(bench, 4)))
        await bench.cycles(cycles)
        await bench.reset()
        await bench.check(random_jobs(bench, 2))
