"""Tests of the accumulator against sums in Python integers."""

import itertools

import cocotb
import numpy as np

from adq.verif.cocotb.accumulator.bench import PRECISIONS, AccumulatorBench, Vector
from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows

MOST_CASES = 4096
"""Maximum cases of an exhaustive test. Weight widths with more cases have only random tests."""

VECTORS = 60
"""Number of vectors of a random test, in each lane."""


def sums_of(weight_bits: int) -> range:
    """Return the possible sums of a plane with ``weight_bits``-bit weights."""
    most = 2 ** (weight_bits - 1)
    return range(-most * TILE.rows, (most - 1) * TILE.rows + 1)


def accumulator_of(weight_bits: int) -> int:
    """Return the widest weights of the accumulator that serves ``weight_bits``."""
    return next(widest for widest, precisions in PRECISIONS.items() if weight_bits in precisions)


def random_vector(bench, *, extreme: bool = False) -> Vector:
    """Return a random vector of any weight width and any number of planes."""
    weight_bits = bench.random.choice(bench.precisions)
    most = TILE.max_activation_bits
    planes = bench.random.choice((1, most, bench.random.randint(1, most)))
    sums = sums_of(weight_bits)
    every = [sums[0], sums[-1]] if extreme else [0]
    return Vector(
        weight_bits,
        negative=bool(bench.random.randrange(2)),
        sums=[
            None
            if not extreme and bench.random.random() < 0.2
            else np.array([bench.random.choice(every) if extreme else s for s in row])
            for row in bench.rng.integers(sums[0], sums[-1] + 1, (planes, bench.lanes))
        ],
    )


@shows("shift_add.accumulate")
@cocotb.test()
@cocotb.parametrize(widest=list(PRECISIONS), stall=[*IDLES], extreme=[False, True])
async def any_precision(dut, widest, stall, extreme):
    """Accumulate vectors of random widths and lengths: no vector affects the next one."""
    bench = AccumulatorBench(dut, widest, stall=stall)
    await bench.start()
    await bench.check([random_vector(bench, extreme=extreme) for _ in range(VECTORS)])


@shows("shift_add.accumulate", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(
    weight_bits=[n for n in TILE.weight_widths if len(sums_of(n)) ** 2 <= MOST_CASES]
)
async def every_sum(dut, weight_bits):
    """Accumulate every pair of sums of two planes, signed and unsigned."""
    sums = sums_of(weight_bits)
    bench = AccumulatorBench(dut, accumulator_of(weight_bits))
    await bench.start()
    lanes = bench.lanes
    pairs = np.array(list(itertools.product(sums, repeat=2)))  # (cases, planes)
    for negative in (False, True):
        cases = np.resize(pairs, (-(-len(pairs) // lanes) * lanes, 2)).reshape(-1, lanes, 2)
        await bench.check([Vector(weight_bits, negative, list(sums.T)) for sums in cases])


def planes_to(held: int, sums: range) -> list[int]:
    """Return plane sums that leave ``held`` in an accumulator, last plane first."""
    planes = []
    while held:
        total = 2 * held  # an accumulator holds half of a total
        planes.append(min(max(total, sums[0]), sums[-1]))
        held = total - planes[-1]
    return planes


def beside_powers(numbers: range) -> list[int]:
    """Return the numbers at or next to plus or minus a power of two, zero, and both ends."""
    powers = [2**bit for bit in range(max(map(abs, (numbers[0], numbers[-1]))).bit_length() + 1)]
    near = {s * power + beside for power in powers for s in (1, -1) for beside in (-1, 0, 1)}
    return sorted(n for n in {*near, 0, numbers[0], numbers[-1]} if n in numbers)


@shows("shift_add.accumulate", "shift_add.widths")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def carries_reach_every_word(dut, weight_bits):
    """Add sums near zero and near powers of two to accumulators that hold such numbers.

    Carries start and end at every word of the totals, in every lane, next to lanes with other
    numbers.
    """
    bench = AccumulatorBench(dut, accumulator_of(weight_bits))
    await bench.start()
    sums = sums_of(weight_bits)
    ends = beside_powers(sums)
    # An accumulator, half of two sums, never reaches the extreme sums before the last plane.
    held = [n for n in ends if sums[0] < n < sums[-1]]
    vectors = []
    for first in range(max(VECTORS, len(held))):
        planes = [planes_to(held[(first + lane) % len(held)], sums) for lane in range(bench.lanes)]
        count = max(map(len, planes))
        rows = [
            np.array([of[index] if index < len(of) else 0 for of in planes])
            for index in reversed(range(count))
        ]
        rows.append(np.array([bench.random.choice(ends) for _ in planes]))
        vectors.append(Vector(weight_bits, bool(bench.random.randrange(2)), rows))
    bench.random.shuffle(vectors)
    await bench.check(vectors)
