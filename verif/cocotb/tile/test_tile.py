"""The whole tile through its ports: precisions, row blocks, back-pressure, reset, bad jobs."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge
from cocotb.utils import get_sim_time

from rtl.interface import Counter, Status
from verif import beats
from verif.cocotb.tile.bench import Bench, MalformedJob
from verif.jobs import random_job

SEED = 20210200


def sizes(most: int, *wanted: int) -> list[int]:
    """What a tile can do of the sizes wanted."""
    return sorted({min(size, most) for size in wanted})


STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.3)]


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stalls=STALLS)
async def every_precision(dut, stalls):
    """Every weight width with activations of 1 to 16 bits, signed and unsigned, back to back."""
    idle, stall = stalls
    bench = Bench(dut, SEED, idle=idle, stall=stall)
    await bench.start()
    jobs = [
        random_job(
            bench.parameters,
            bench.rng,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=signed,
            vectors=int(bench.rng.integers(1, 4)),
        )
        for activation_bits in range(1, 17)
        for weight_bits in bench.parameters.weight_widths
        for signed in (False, True)
    ]
    bench.rng.shuffle(jobs)
    await bench.check(jobs)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def extremes(dut):
    """The largest magnitudes at every width: nothing overflows."""
    bench = Bench(dut, SEED + 1)
    await bench.start()
    row_blocks = min(3, bench.parameters.row_blocks)
    await bench.check(
        [
            random_job(
                bench.parameters,
                bench.rng,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                signed=signed,
                vectors=min(2, bench.parameters.partial_sums or 2),
                row_blocks=row_blocks,
                extreme=True,
            )
            for weight_bits in bench.parameters.weight_widths
            for activation_bits in (1, 15, 16)
            for signed in (False, True)
        ]
    )


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stalls=STALLS)
async def row_blocks_accumulate(dut, stalls):
    """Sums over row blocks, down to single vectors of single bits, which leave no time between."""
    idle, stall = stalls
    bench = Bench(dut, SEED + 2, idle=idle, stall=stall)
    await bench.start()
    await bench.check(
        [
            random_job(
                bench.parameters,
                bench.rng,
                weight_bits=int(bench.rng.choice(bench.parameters.weight_widths)),
                activation_bits=activation_bits,
                signed=bool(bench.rng.integers(2)),
                vectors=vectors,
                row_blocks=row_blocks,
            )
            for vectors in sizes(bench.parameters.partial_sums or 5, 1, 2, 5)
            for row_blocks in sizes(bench.parameters.row_blocks, 2, 3, 6)
            for activation_bits in (1, 4)
        ]
    )


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def a_sum_is_read_as_it_is_written(dut):
    """A lone vector of one bit, both of its weight blocks there before its job: the second block
    asks for the partial sum in the cycle in which the first stores it.
    """
    bench = Bench(dut, SEED + 9)
    await bench.start()
    for weight_bits in bench.parameters.weight_widths:
        job = random_job(
            bench.parameters,
            bench.rng,
            weight_bits=weight_bits,
            activation_bits=1,
            signed=False,
            vectors=1,
            row_blocks=min(2, bench.parameters.row_blocks),
        )
        bench.send([job], hold="jobs")
        await ClockCycles(dut.clk, 2 * bench.parameters.weight_beats + 4)
        bench.send([job], only="jobs")
        assert ((await bench.take(1)).outputs(weight_bits) == job.results).all()


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(density=[0.0, 0.02, 0.5])
async def sparse_planes(dut, density):
    """Planes with no bit set: leading ones cost no cycle, and every one is counted."""
    bench = Bench(dut, SEED + 3)
    await bench.start()
    jobs = [
        random_job(
            bench.parameters,
            bench.rng,
            weight_bits=4,
            activation_bits=activation_bits,
            signed=signed,
            vectors=8,
            density=density,
        )
        for activation_bits in (1, 7, 16)
        for signed in (False, True)
    ]
    await bench.check(jobs)

    running = skipped = 0
    for job in jobs:
        running += bench.parameters.job_cycles(job.planes()) - 1
        for vector in job.activations.reshape(-1, bench.parameters.rows):
            populated = [bool(((vector >> bit) & 1).any()) for bit in range(job.activation_bits)]
            # Of a vector of zeros, the one plane that carries its tag is not passed over.
            skipped += populated.count(False) - (not any(populated))
    assert await bench.counter(Counter.RUNNING) == running
    assert await bench.counter(Counter.PLANES_SKIPPED) == skipped
    assert await bench.counter(Counter.JOBS_DONE) == len(jobs)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def cycles_are_the_formulas(dut):
    """A job's cycles and its latency, at every precision, behind jobs that hide its loading."""
    bench = Bench(dut, SEED + 7)
    await bench.start()
    p = bench.parameters
    vectors = p.weight_beats  # at least a plane each: the time of a load
    for weight_bits in p.weight_widths:
        job = {"weight_bits": weight_bits, "activation_bits": 4, "signed": False}
        jobs = [random_job(p, bench.rng, vectors=vectors, **job) for _ in range(4)]
        names = (Counter.RUNNING, Counter.SWITCHING_JOBS, Counter.STALLED_ON_ACTIVATIONS)
        before = [await bench.counter(name) for name in names]
        await bench.check(jobs)
        after = [await bench.counter(name) for name in names]
        running, switching, stalled = (y - x for x, y in zip(before, after, strict=True))
        assert running + switching == sum(p.job_cycles(job.planes()) for job in jobs)
        assert stalled == 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def latency_is_the_formula(dut):
    """From the last plane of a lone vector to its result."""
    bench = Bench(dut, SEED + 8)
    await bench.start()
    p = bench.parameters
    for weight_bits in p.weight_widths:
        job = random_job(
            p,
            bench.rng,
            weight_bits=weight_bits,
            activation_bits=4,
            signed=False,
            vectors=1,
            extreme=True,  # no plane is empty
        )
        bench.send([job], hold="activations")
        await ClockCycles(dut.clk, p.weight_beats + 4)
        bench.send([job], only="activations")
        check = cocotb.start_soon(bench.take(1))
        cycle = accepted = 0
        while True:
            await FallingEdge(dut.clk)
            cycle += 1
            if int(dut.activations__valid.value) and int(dut.activations__ready.value):
                accepted = cycle
            if int(dut.results__valid.value):
                break
        # The cycle after the one that accepts a vector offers the first of its planes.
        assert cycle - (accepted + job.activation_bits) == p.latency(weight_bits)
        assert ((await check).outputs(weight_bits) == job.results).all()


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stalls=STALLS)
async def malformed_jobs(dut, stalls):
    """A malformed job gives one beat that says what is wrong, and the tile goes on."""
    idle, stall = stalls
    bench = Bench(dut, SEED + 4, idle=idle, stall=stall)
    await bench.start()
    good = {
        "weight_bits": 8,
        "activation_bits": 8,
        "signed": False,
        "vectors": 1,
        "row_blocks": 1,
    }
    short = {"activation_bits": 2, "signed": True, "vectors": 2}
    p = bench.parameters
    cases = [
        *(({"weight_bits": n}, Status.WEIGHT_BITS) for n in (0, 1, 3, 17, 18, 31)),
        *(({"activation_bits": n}, Status.ACTIVATION_BITS) for n in (0, 17, 31)),
        ({"vectors": 0}, Status.VECTORS),
        ({"row_blocks": 0}, Status.ROW_BLOCKS),
        ({"row_blocks": p.row_blocks + 1}, Status.ROW_BLOCKS),
    ]
    if p.row_blocks > 1 and p.partial_sums < p.vectors:
        cases.append(({"row_blocks": 2, "vectors": p.partial_sums + 1}, Status.VECTORS))
    jobs = []
    for change, status in cases:
        # Between precisions of both latencies, and two in a row.
        for weight_bits in (2, 16):
            jobs.append(random_job(p, bench.rng, weight_bits=weight_bits, **short))
            jobs += [MalformedJob(beats.job_beat(p, **{**good, **change}), status)] * 2
    await bench.check(jobs)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_at_any_moment(dut):
    """Whatever a reset interrupts, the next jobs are as after the first reset."""
    bench = Bench(dut, SEED + 5, idle=0.2, stall=0.3)
    await bench.start()

    def jobs():
        return [
            random_job(
                bench.parameters,
                bench.rng,
                weight_bits=weight_bits,
                activation_bits=5,
                signed=True,
                vectors=min(2, bench.parameters.partial_sums or 2),
                row_blocks=min(2, bench.parameters.row_blocks),
            )
            for weight_bits in (16, 2)
        ]

    for cycles in (*range(1, 40, 3), 70, 130, 200):
        bench.send(jobs())
        bench.dut.results__ready.value = 1
        await ClockCycles(dut.clk, cycles)
        await bench.reset()
        await bench.check(jobs())


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def counters_cover_every_cycle(dut):
    """The exclusive counters sum to the cycles since reset, a job with stalls included."""
    bench = Bench(dut, SEED + 6, idle=0.3, stall=0.3)
    await bench.start()
    exclusive = [counter for counter in Counter if counter < Counter.PLANES_SKIPPED]

    async def totals():
        """Sum of the counters, each read in a cycle of its own, and the time of the last read."""
        values = [await bench.counter(counter) for counter in exclusive]
        # The tile idles while they are read, and only that counter, the last, moves meanwhile.
        return sum(values), get_sim_time("ns") // 2

    counted, cycle = await totals()
    await bench.check(
        [
            random_job(
                bench.parameters,
                bench.rng,
                weight_bits=weight_bits,
                activation_bits=3,
                signed=False,
                vectors=vectors,
            )
            for weight_bits in (2, 16)
            for vectors in (1, 4)
        ]
    )
    counted_then, cycle_then = await totals()
    assert counted_then - counted == cycle_then - cycle
    assert await bench.counter(Counter.JOBS_DONE) == 4
