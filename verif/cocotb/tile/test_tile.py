"""Tests of the whole tile through its ports against matrix products."""

import itertools

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from adq.rtl.interface import Counter
from adq.rtl.pim_tile.counters import LOW_BITS
from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.plans import MOST_VECTORS, malformed_plans
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES, now
from adq.verif.cocotb.tile.bench import TileBench
from adq.verif.operands.jobs import Job, random_job
from adq.verif.simulation.functional_coverage import DENSITIES
from adq.verif.simulation.testpoints import shows

PATTERNS = {"idle": list(IDLES), "stall": list(BACK_PRESSURES)}
EXCLUSIVE = [counter for counter in Counter if counter < Counter.PLANES_SKIPPED]


def sizes(most: int, *wanted: int) -> list[int]:
    """Return the wanted sizes, limited to ``most``."""
    return sorted({min(size, most) for size in wanted})


def wrapped(count: int) -> int:
    """Return a count modulo the range of a performance counter."""
    return count % 2**TILE.counter_bits


def random_jobs(bench: TileBench, count: int, **given) -> list[Job]:
    """Return random jobs of any shape, with the given attributes."""
    rng = bench.rng
    return [
        random_job(
            TILE,
            rng,
            **{
                "weight_bits": int(rng.choice(TILE.weight_widths)),
                "activation_bits": int(rng.integers(1, TILE.max_activation_bits + 1)),
                "signed": bool(rng.integers(2)),
                "vectors": int(rng.integers(1, min(MOST_VECTORS, 4) + 1)),
                "row_blocks": int(rng.integers(1, min(TILE.row_blocks, 3) + 1)),
                "density": rng.random(),
            }
            | given,
        )
        for _ in range(count)
    ]


@shows("weights.layout", "tile.products", "tile.streams")
@cocotb.test()
@cocotb.parametrize(**PATTERNS)
async def every_precision(dut, idle, stall):
    """Run every weight width with activations of 1 to 16 bits, back to back.

    Without pauses, activations are both signed and unsigned; with pauses, one of the two at random.
    """
    bench = TileBench(dut, idle=idle, stall=stall)
    await bench.start()
    signs = 2 if idle == stall == "never" else 1
    jobs = [
        random_job(
            TILE,
            bench.rng,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=signed,
            vectors=int(bench.rng.integers(1, min(TILE.vectors, 2) + 1)),
        )
        for activation_bits in range(1, TILE.max_activation_bits + 1)
        for weight_bits in TILE.weight_widths
        for signed in bench.random.sample((False, True), signs)
    ]
    bench.rng.shuffle(jobs)
    await bench.check(jobs)


@shows("weights.layout", "tile.products", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(
    (
        ("weight_bits", "activation_bits"),
        [
            (kw, kx)
            for kw in TILE.weight_widths
            for kx in range(1, TILE.max_activation_bits + 1)
            if TILE.rows * (kw + kx) <= 12
        ],
    ),
    signed=[False, True],
)
async def every_operand(dut, weight_bits, activation_bits, signed):
    """Multiply all weights of an output with all vectors: ``2**(rows * (kw + kx))`` cases."""
    bench = TileBench(dut)
    await bench.start()
    low = 2 ** (activation_bits - 1) if signed else 0
    words = range(-low, 2**activation_bits - low)
    vectors = np.array(list(itertools.product(words, repeat=TILE.rows)))
    weights = range(-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1))
    outputs = TILE.outputs(weight_bits)
    columns = np.array(list(itertools.product(weights, repeat=TILE.rows)))
    columns = np.resize(columns, (-(-len(columns) // outputs), outputs, TILE.rows))
    await bench.check(
        [
            Job(weight_bits, activation_bits, signed, block.T[None], some[None])
            for block in columns
            for some in np.split(vectors, range(TILE.vectors, len(vectors), TILE.vectors))
        ]
    )


@shows("shift_add.widths", "tile.products")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), signed=[False, True])
async def extremes(dut, weight_bits, signed):
    """Run operands of the largest magnitude: no sum overflows."""
    bench = TileBench(dut)
    await bench.start()
    shape = {"vectors": min(MOST_VECTORS, 2), "row_blocks": min(TILE.row_blocks, 3)}
    for activation_bits in (1, 15, 16):
        given = {"weight_bits": weight_bits, "activation_bits": activation_bits, "signed": signed}
        await bench.check([random_job(TILE, bench.rng, **given, **shape, extreme=True)])


@shows("shift_add.widths", "tile.products")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), signed=[False, True])
async def sums_cross_zero(dut, weight_bits, signed):
    """Run small activations of up to 16 planes, so that totals change sign between planes.

    For negative words the sign change can occur in the last plane and must reach the highest bit of
    the result.
    """
    bench = TileBench(dut)
    await bench.start()
    vectors = min(MOST_VECTORS, 64)
    given = {"weight_bits": weight_bits, "signed": signed, "vectors": vectors}
    await bench.check(
        [
            random_job(TILE, bench.rng, **given, activation_bits=activation_bits, small=True)
            for activation_bits in (4, 8, 12, 14, 15, 16, 16, 16)
        ]
    )


@shows("shift_add.widths")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), signed=[False, True])
async def carries_reach_every_word(dut, weight_bits, signed):
    """Run sums that cross zero or a power of two, so that carries reach every bit of a total.

    A carry propagates through all ones below the bit, a borrow through all zeros, in every lane,
    next to lanes without one.
    """
    bench = TileBench(dut)
    await bench.start()
    given = {"weight_bits": weight_bits, "signed": signed, "vectors": min(TILE.vectors, 6)}
    most = TILE.max_activation_bits
    # Narrow weights have more lanes per job. Negative words use all planes, so they take longer.
    repeats = 12 + (32 if signed else 256) // weight_bits
    jobs = [
        random_job(TILE, bench.rng, **given, activation_bits=activation_bits)
        for activation_bits in (*range(1, most), *[most] * repeats)
    ]
    for job in jobs:
        job.weights = beside_powers(bench.rng, job.weights, weight_bits, signed=True)
        job.activations = beside_powers(
            bench.rng, job.activations, job.activation_bits, signed=signed
        )
    await bench.check(jobs)


def beside_powers(
    rng: np.random.Generator, like: np.ndarray, bits: int, *, signed: bool
) -> np.ndarray:
    """Return integers of ``bits`` bits at or near powers of two, in the shape of ``like``.

    Along the last axis, some elements contain one power of two, which is more often low than high,
    and some contain a small offset. Signs are random if ``signed``.
    """
    low = -(2 ** (bits - 1)) if signed else 0
    vectors = (*like.shape[:-1], 1)
    powers = 2 ** (bits * rng.random(vectors) ** 2).astype(int)
    shares = rng.choice([1, min(1, 2 / like.shape[-1]), 0.5], (2, *vectors))
    has_power, has_more = rng.random((2, *like.shape)) < shares
    words = powers * has_power + rng.integers(-3, 4, like.shape) * has_more
    if signed:
        words *= rng.choice([-1, 1], like.shape)
    return words.clip(low, low + 2**bits - 1)


@shows("columns.count", "shift_add.widths")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), signed=[False, True])
async def every_bit_set(dut, weight_bits, signed):
    """Run jobs with all weight and activation bits set, between jobs with zero weights."""
    bench = TileBench(dut)
    await bench.start()
    shape = {"vectors": 1, "row_blocks": min(TILE.row_blocks, 2)}
    given = {"weight_bits": weight_bits, "activation_bits": 16, "signed": signed} | shape
    ones, zeros = random_jobs(bench, 2, **given)
    ones.weights[:], ones.activations[:] = -1, -1 if signed else 2**16 - 1
    zeros.weights[:] = 0
    await bench.check([ones, zeros, ones, zeros])


@shows("tile.products")
@cocotb.test()
@cocotb.parametrize(stall=["never", "lazy"])
async def every_circumstance(dut, stall):
    """Cross weight bits, activation bits, sign, density and row blocks, in random order.

    Results are taken at once, or each of them waits.
    """
    bench = TileBench(dut, stall=stall)
    await bench.start()
    jobs = []
    for cross in itertools.product(
        TILE.weight_widths,
        (1, 3, 7, 12, 16),
        (False, True),
        DENSITIES,
        sizes(TILE.row_blocks, 1, 2),
    ):
        weight_bits, activation_bits, signed, density, row_blocks = cross
        [job] = random_jobs(
            bench,
            1,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            signed=signed,
            vectors=int(bench.rng.integers(1, min(MOST_VECTORS, 2) + 1)),
            row_blocks=row_blocks,
        )
        job.activations = with_density(bench.rng, job, density)
        jobs.append(job)
    bench.rng.shuffle(jobs)
    await bench.check(jobs)


def with_density(rng: np.random.Generator, job: Job, density: str) -> np.ndarray:
    """Return activations of a job of which none, few or at least half are non-zero."""
    low = -(2 ** (job.activation_bits - 1)) if job.signed else 0
    words = rng.integers(low, low + 2**job.activation_bits, job.activations.shape)
    words[words == 0] = -1 if job.signed else 1
    kept = np.zeros(words.size, bool)
    some = {"zero": 0, "sparse": max(1, words.size // 8), "dense": -(-words.size // 2)}
    kept[: some[density]] = True
    return words * rng.permutation(kept).reshape(words.shape)


@shows("shift_add.row_blocks", "tile.streams")
@cocotb.test()
@cocotb.parametrize(**PATTERNS)
async def row_blocks_accumulate(dut, idle, stall):
    """Accumulate row blocks, down to single vectors of single bits without a gap between blocks."""
    bench = TileBench(dut, idle=idle, stall=stall)
    await bench.start()
    shapes = itertools.product(
        sizes(MOST_VECTORS, 1, 2, 5), sizes(TILE.row_blocks, 2, 3, 6), (1, 4)
    )
    for vectors, row_blocks, bits in shapes:
        given = {"vectors": vectors, "row_blocks": row_blocks, "activation_bits": bits}
        await bench.check(random_jobs(bench, 1, **given))


@shows("shift_add.row_blocks")
@cocotb.test() if TILE.row_blocks > 1 else left_out
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def a_sum_is_read_as_it_is_written(dut, weight_bits):
    """Read a partial sum in the cycle that writes it.

    The job has a single vector of one bit, and both weight blocks are loaded before it starts.
    """
    bench = TileBench(dut)
    await bench.start()
    given = {"weight_bits": weight_bits, "activation_bits": 1, "vectors": 1, "row_blocks": 2}
    [job] = random_jobs(bench, 1, **given)
    bench.send([job], hold="jobs")
    await bench.cycles(2 * TILE.weight_beats + 4)
    bench.send([job], only="jobs")
    await bench.compare([job])


@shows("shift_add.row_blocks", "shift_add.widths")
@cocotb.test() if TILE.row_blocks > 1 else left_out
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), signed=[False, True])
async def row_blocks_cancel(dut, weight_bits, signed):
    """Run row blocks that nearly cancel, so that carries propagate through a whole sum.

    A carry or borrow passes the low bits and the total, for every number of planes.
    """
    bench = TileBench(dut)
    await bench.start()
    given = {"weight_bits": weight_bits, "signed": signed, "vectors": min(MOST_VECTORS, 6)}
    jobs = [
        random_job(TILE, bench.rng, **given, activation_bits=activation_bits, row_blocks=2)
        for activation_bits in range(1, TILE.max_activation_bits + 1)
    ]
    low = -(2 ** (weight_bits - 1))
    for job in jobs:
        job.activations[1] = job.activations[0]
        little = bench.rng.integers(-1, 2, job.weights[0].shape)
        some = bench.rng.random(little.shape) < 2 / TILE.rows
        job.weights[1] = (little * some - job.weights[0]).clip(low, -1 - low)
    await bench.check(jobs)


@shows("planes.skipped", "shift_add.places")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths), stall=["never", "often"])
async def vectors_of_every_length(dut, weight_bits, stall):
    """Run vectors of 1 to 16 planes in one job, with empty lower planes.

    Vectors of one plane or of zeros precede and follow vectors of 16 planes. The empty planes are
    the lowest, in the middle, or none.
    """
    bench = TileBench(dut, stall=stall)
    await bench.start()
    most = TILE.max_activation_bits
    for signed in (False, True):
        jobs = []
        for length in bench.random.sample(range(1, most + 1), most):
            lengths = [length, most, 1, most, 0, length][: min(TILE.vectors, MOST_VECTORS)]
            given = {"weight_bits": weight_bits, "activation_bits": most, "signed": signed}
            row_blocks = min(TILE.row_blocks, bench.random.choice((1, 2)))
            [job] = random_jobs(bench, 1, **given, vectors=len(lengths), row_blocks=row_blocks)
            for block in job.activations:
                for number, planes in enumerate(bench.random.sample(lengths, len(lengths))):
                    block[number] = words_of(bench, planes, signed=signed and planes == most)
            jobs.append(job)
        await bench.check(jobs)


def words_of(bench: TileBench, planes: int, *, signed: bool) -> np.ndarray:
    """Return a vector with exactly ``planes`` planes. If ``signed``, the last is the sign plane."""
    if not planes:
        return np.zeros(TILE.rows, int)
    top = planes - 1
    ends = sorted(bench.random.randrange(planes) for _ in range(2))
    empty = bench.random.choice([range(ends[0]), range(*ends), range(1, top), range(0)])
    kept = sum(1 << index for index in range(top) if index not in empty)
    words = bench.rng.integers(0, 2**planes, TILE.rows)
    words[bench.random.randrange(TILE.rows)] |= 1 << top
    words &= kept | 1 << top
    return words - ((words >> top) << planes if signed else 0)


@shows("planes.skipped", "tile.counters")
@cocotb.test()
@cocotb.parametrize(density=[0.0, 0.02, 0.5])
async def sparse_planes(dut, density):
    """Run sparse vectors: leading empty planes cost no cycle, and all empty planes are counted."""
    bench = TileBench(dut)
    await bench.start()
    given = {"vectors": min(TILE.vectors, 8), "row_blocks": 1, "density": density}
    jobs = [
        job for bits in (1, 7, 16) for job in random_jobs(bench, 2, **given, activation_bits=bits)
    ]
    await bench.check(jobs)

    running = skipped = 0
    for job in jobs:
        running += TILE.block_cycles(job.planes())
        for vector in job.activations.reshape(-1, TILE.rows):
            populated = [bool(((vector >> bit) & 1).any()) for bit in range(job.activation_bits)]
            # The single plane of a vector of zeros is not skipped.
            skipped += populated.count(False) - (not any(populated))
    assert await bench.counter(Counter.RUNNING) == wrapped(running)
    assert await bench.counter(Counter.PLANES_SKIPPED) == wrapped(skipped)
    assert await bench.counter(Counter.JOBS_DONE) == len(jobs)


@shows("tile.cycles")
@cocotb.test()
async def cycles_of_sequences_are_the_formula(dut):
    """Compare the cycles of random lists of jobs with ``sequence_cycles``.

    The cycles are counted from the first offer to the last result, including waits for weights.
    """
    bench = TileBench(dut)
    await bench.start()
    for _ in range(25):
        jobs = random_jobs(bench, bench.random.randint(1, 6))
        if bench.random.random() < 0.5:  # short blocks that wait for weights
            jobs = random_jobs(bench, 6, vectors=1, activation_bits=bench.random.randint(1, 4))
        offered = now() + 1
        await bench.check(jobs)
        taken, _ = bench.monitors["results"].taken[-1]
        blocks = [np.split(np.array(job.planes()), len(job.weights)) for job in jobs]
        assert taken - offered + 1 == TILE.sequence_cycles(
            [
                (job.weight_bits, [TILE.block_cycles(map(int, planes)) for planes in planes_of])
                for job, planes_of in zip(jobs, blocks, strict=True)
            ]
        )


@shows("tile.cycles")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def counted_cycles_are_the_formula(dut, weight_bits):
    """Compare running plus switching cycles of jobs that hide their loads with ``job_cycles``."""
    bench = TileBench(dut)
    await bench.start()
    bits = 4
    given = {"weight_bits": weight_bits, "activation_bits": bits, "row_blocks": 1}
    vectors = min(TILE.vectors, TILE.least_vectors(1))  # each has at least one plane
    jobs = random_jobs(bench, 4, **given, vectors=vectors)
    await bench.check(jobs)
    running = await bench.counter(Counter.RUNNING)
    switching = await bench.counter(Counter.SWITCHING_JOBS)
    stalled = await bench.counter(Counter.STALLED_ON_ACTIVATIONS)
    assert stalled == 0
    if vectors == TILE.least_vectors(1):
        cycles = sum(TILE.job_cycles(job.planes()) for job in jobs)
        assert wrapped(running + switching) == wrapped(cycles)


@shows("tile.cycles")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def latency_is_the_formula(dut, weight_bits):
    """Compare the cycles from the last plane of a single vector to its result with ``latency``."""
    bench = TileBench(dut)
    await bench.start()
    job = random_job(
        TILE,
        bench.rng,
        weight_bits=weight_bits,
        activation_bits=4,
        signed=False,
        vectors=1,
        extreme=True,  # no plane is empty
    )
    bench.send([job], hold="activations")
    await bench.cycles(TILE.weight_beats + 4)
    bench.send([job], only="activations")
    await bench.compare([job])
    accepted, _ = bench.monitors["activations"].taken[-1]
    result, _ = bench.monitors["results"].taken[-1]
    # The cycle after the one that accepts a vector offers the first of its planes.
    assert result - (accepted + job.activation_bits) == TILE.latency(weight_bits)


@shows("jobs.malformed", "tile.streams")
@cocotb.test()
@cocotb.parametrize(**PATTERNS)
async def malformed_jobs(dut, idle, stall):
    """Run malformed jobs between valid ones: each returns one beat with its status.

    The valid jobs have both latencies. Some malformed jobs follow each other.
    """
    bench = TileBench(dut, idle=idle, stall=stall)
    await bench.start()
    short = {"activation_bits": 2, "vectors": min(TILE.vectors, 2), "row_blocks": 1}
    jobs = []
    for malformed in malformed_plans():
        weight_bits = 2 if len(jobs) % 2 else 16
        jobs += [*random_jobs(bench, 1, weight_bits=weight_bits, **short), malformed]
        jobs += [malformed] * (bench.random.random() < 0.3)
    await bench.check(jobs)


@shows("jobs.malformed")
@cocotb.test() if TILE.row_blocks > 1 else left_out
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def a_malformed_job_follows_sums_that_wait(dut, weight_bits):
    """Run a malformed job directly after a job whose last vector waits in the pipeline.

    The vector has a single plane and waits because results are stalled. Its sum over row blocks
    must be complete.
    """
    bench = TileBench(dut)
    await bench.start()
    held = itertools.cycle((True, True, False))
    bench.sinks["results"].pause = lambda waiting: next(held)
    given = {"weight_bits": weight_bits, "activation_bits": 1, "density": 1.0}
    shape = {"vectors": min(MOST_VECTORS, 4), "row_blocks": 2}
    jobs = []
    for malformed in malformed_plans():
        jobs += [*random_jobs(bench, 1, **given, **shape), malformed]
    await bench.check(jobs)


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(idle=["never", "often"], stall=["never", "often"])
async def reset_at_any_moment(dut, idle, stall):
    """Reset in random cycles of jobs of both latencies: later jobs run as after the first reset."""
    bench = TileBench(dut, idle=idle, stall=stall)
    await bench.start()
    shape = {"vectors": min(MOST_VECTORS, 2), "row_blocks": min(TILE.row_blocks, 2)}

    def jobs(*order: int):
        return [
            job
            for weight_bits in order
            for job in random_jobs(bench, 1, weight_bits=weight_bits, activation_bits=5, **shape)
        ]

    first = range(1, 4)  # the first job's weights are loaded
    moments = [*first, *bench.random.sample(range(4, 4 * TILE.weight_beats + 60), 12)]
    orders = [(16, 2), (2, 16)]
    for cycles in moments:
        for order in orders if cycles in first else [bench.random.choice(orders)]:
            bench.send(jobs(*order))
            await bench.cycles(cycles)
            await bench.reset()
            await bench.check(jobs(*bench.random.choice(orders)))


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(weight_bits=[16, 2])
async def reset_while_a_result_waits(dut, weight_bits):
    """Reset while a result waits to be taken: none of its vector follows the reset."""
    bench = TileBench(dut)
    await bench.start()
    held = True
    bench.sinks["results"].pause = lambda waiting: held
    [job] = random_jobs(bench, 1, weight_bits=weight_bits)
    for cycles in (1, 2, 5):
        held = True
        bench.send([job])
        while not bench.monitors["results"].waited:
            await bench.cycle()
        await bench.cycles(cycles)
        await bench.reset()
        held = False
        await bench.check([job])


@shows("tile.counters")
@cocotb.test()
async def counters_cover_every_cycle(dut):
    """Check that the exclusive counters sum to the cycles since reset, including stalls."""
    bench = TileBench(dut, idle="often", stall="often")
    await bench.start()

    async def totals():
        """Return the sum of the counters, read in consecutive cycles, and the last read's cycle."""
        values = [await bench.counter(counter) for counter in EXCLUSIVE]
        # The tile is idle during the reads, so only the idle counter moves, which is read last.
        return sum(values), now()

    counted, cycle = await totals()
    jobs = random_jobs(bench, 6)
    await bench.check(jobs)
    counted_then, cycle_then = await totals()
    assert wrapped(counted_then - counted) == wrapped(cycle_then - cycle)
    assert await bench.counter(Counter.JOBS_DONE) == len(jobs)


@shows("tile.counters", "tile.counters")
@cocotb.test()
async def counters_start_from_zero(dut):
    """Check that every counter is zero after reset, except the counter of idle cycles."""
    bench = TileBench(dut)
    await bench.start()
    await bench.check(random_jobs(bench, 2))
    await bench.reset()
    began = now()
    for counter in [*Counter, *Counter]:
        count = await bench.counter(counter)
        assert count == (wrapped(now() - began) if counter is Counter.IDLE else 0), counter.name


HIGHEST = 2**TILE.counter_bits - 1 if TILE.counter_bits <= 10 else 63
"""Highest counter value in tests: the maximum of a narrow counter, else 63 to limit the time."""

STOPS = sorted(
    {
        *(HIGHEST * part // 3 for part in (1, 2, 3)),
        *(
            2**bit + n
            for bit in range(1, max(HIGHEST.bit_length(), LOW_BITS) + 1)
            for n in (-1, 0, 1)
        ),
    }
)
"""Counter values at which tests compare: up to and beyond ``HIGHEST``, and around powers of two,
where the low bits of a counter are about to overflow.
"""


@shows("tile.counters")
@cocotb.test()
@cocotb.parametrize(
    (
        ("held", "counter"),
        [
            ("weights", Counter.STALLED_ON_WEIGHTS),
            ("activations", Counter.STALLED_ON_ACTIVATIONS),
            ("jobs", Counter.IDLE),
        ],
    )
)
async def a_stream_held_back_is_counted(dut, held, counter):
    """Hold a stream back longer: its counter, and no other, grows by the additional cycles."""
    bench = TileBench(dut)
    await bench.start()
    [job] = random_jobs(bench, 1, row_blocks=1)

    async def counts_after(cycles):
        await bench.reset()
        bench.send([job], hold=held)
        await bench.cycles(cycles)
        bench.send([job], only=held)
        await bench.compare([job])
        began = now()
        counts = [await bench.counter(counter) for counter in Counter]
        # Idle cycles are counted during the reads, the same number each time.
        assert now() - began == len(Counter)
        return counts

    # By then the beats of the other streams are loaded.
    least = 20 + TILE.weight_beats
    first = await counts_after(least)
    # Some idle cycles follow the job; their number depends on when the tile becomes idle.
    behind = range(16) if counter is Counter.IDLE else [0]
    about_to_carry = [(2**LOW_BITS - 1 - first[counter] + n) % 2**LOW_BITS for n in behind]
    for more in (*(HIGHEST * part // 6 for part in range(1, 8)), *about_to_carry):
        later = await counts_after(least + more)
        moved = [wrapped(b - a) for a, b in zip(first, later, strict=True)]
        expected = [wrapped(more) * (other is counter) for other in Counter]
        assert moved == expected, more


@shows("tile.counters")
@cocotb.test()
async def a_result_held_back_is_counted(dut):
    """Hold a result back longer: its counter, and no other, grows by the additional cycles."""
    bench = TileBench(dut)
    await bench.start()
    [job] = random_jobs(bench, 1, row_blocks=1, vectors=1)
    held = True
    bench.sinks["results"].pause = lambda waiting: held

    async def counts_after(cycles):
        nonlocal held
        await bench.reset()
        held = True
        bench.send([job])
        while not bench.monitors["results"].waited:
            await bench.cycle()
        await bench.cycles(cycles)
        held = False
        await bench.compare([job])
        return [await bench.counter(counter) for counter in Counter]

    first = await counts_after(0)
    about_to_carry = 2**LOW_BITS - 1 - first[Counter.STALLED_ON_RESULTS]
    for more in (*(HIGHEST * part // 6 for part in range(1, 8)), about_to_carry):
        later = await counts_after(more)
        moved = [wrapped(b - a) for a, b in zip(first, later, strict=True)]
        expected = [wrapped(more) * (other is Counter.STALLED_ON_RESULTS) for other in Counter]
        assert moved == expected, more


@shows("tile.counters")
@cocotb.test()
@cocotb.parametrize(stall=[stall for stall in BACK_PRESSURES if stall != "never"])
async def results_that_wait_are_counted(dut, stall):
    """Check that each cycle in which a result is offered but not taken is counted."""
    bench = TileBench(dut, stall=stall)
    await bench.start()
    waited = 0

    async def watch():
        nonlocal waited
        while True:
            await FallingEdge(dut.clk)
            waited += int(dut.results__valid.value) & ~int(dut.results__ready.value)

    bench.start_soon(watch())
    given = {"activation_bits": 1, "row_blocks": 1, "vectors": min(TILE.vectors, 6)}
    for _ in range(12):
        await bench.check(random_jobs(bench, max(1, HIGHEST // 150), **given))
        assert await bench.counter(Counter.STALLED_ON_RESULTS) == wrapped(waited)


@shows("tile.counters")
@cocotb.test()
@cocotb.parametrize(lowest_empty=[False, True])
async def skipped_planes_carry(dut, lowest_empty):
    """Skip every possible number of planes in one cycle when the counter's low bits overflow.

    The skipped planes are the leading planes of a vector, or those and its lowest plane.
    """
    bench = TileBench(dut)
    await bench.start()
    most = TILE.max_activation_bits - 1
    skipped = 0
    for number in range(1, most + 1):
        left = -(skipped + bench.random.randint(1, number)) % 2**LOW_BITS
        skips = [most] * (left // most) + [left % most, number]
        size = min(TILE.vectors, 32)
        for some in (skips[n : n + size] for n in range(0, len(skips), size)):
            given = {"activation_bits": most + 1, "row_blocks": 1, "vectors": len(some)}
            [job] = random_jobs(bench, 1, **given, signed=False)
            job.activations[:] = 0
            job.activations[0, :, bench.random.randrange(TILE.rows)] = [
                2 ** (most + 2 - skip) - 2 if lowest_empty and skip else 2 ** (most + 1 - skip) - 1
                for skip in some
            ]
            await bench.check([job])
            skipped += sum(some)
            assert await bench.counter(Counter.PLANES_SKIPPED) == wrapped(skipped), number


@shows("tile.counters")
@cocotb.test()
async def jobs_are_counted(dut):
    """Check that each malformed job is counted once, in the cycle in which it is rejected."""
    bench = TileBench(dut)
    await bench.start()
    malformed = malformed_plans()
    sent = 0
    for stop in STOPS:
        await bench.check([malformed[n % len(malformed)] for n in range(sent, stop)])
        sent = stop
        assert await bench.counter(Counter.JOBS_DONE) == wrapped(sent)
        assert await bench.counter(Counter.SWITCHING_JOBS) == wrapped(sent)
    assert await bench.counter(Counter.RUNNING) == 0


@shows("tile.counters")
@cocotb.test()
async def running_cycles_are_counted(dut):
    """Check that one running cycle per plane is counted, up to and beyond the highest value."""
    bench = TileBench(dut)
    await bench.start()
    planes = 0
    for stop in STOPS:
        while planes < stop:
            bits = min(TILE.max_activation_bits, stop - planes)
            vectors = min(TILE.vectors, 6, (stop - planes) // bits)
            given = {"activation_bits": bits, "row_blocks": 1, "vectors": vectors}
            [job] = random_jobs(bench, 1, **given, signed=False)
            job.activations[0, :, 0] |= 2 ** (bits - 1)
            await bench.check([job])
            planes += bits * vectors
        assert await bench.counter(Counter.RUNNING) == wrapped(planes)
