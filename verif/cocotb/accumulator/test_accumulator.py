"""The accumulator, against sums of products of Python's integers."""

import itertools

import cocotb
import numpy as np

from adq.verif.cocotb.accumulator.bench import PRECISIONS, AccumulatorBench, Vector
from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows

MOST_CASES = 4096
"""Of an exhaustive test; precisions of which it would take more are left to the random ones."""

VECTORS = 60
"""Of a random test, in each of the lanes."""


def sums_of(weight_bits: int) -> range:
    """Sums of a plane that weights of a precision can give."""
    most = 2 ** (weight_bits - 1)
    return range(-most * TILE.rows, (most - 1) * TILE.rows + 1)


def accumulator_of(weight_bits: int) -> int:
    """Widest weights of the accumulator that takes sums of a precision."""
    return next(widest for widest, precisions in PRECISIONS.items() if weight_bits in precisions)


def random_vector(bench, *, extreme: bool = False) -> Vector:
    """A vector of any precision and any number of planes."""
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
    """Vectors of all precisions in turn, those of one plane behind those of sixteen among them; a
    vector leaves nothing to the next.
    """
    bench = AccumulatorBench(dut, widest, stall=stall)
    await bench.start()
    await bench.check([random_vector(bench, extreme=extreme) for _ in range(VECTORS)])


@shows("shift_add.accumulate", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(
    weight_bits=[n for n in TILE.weight_widths if len(sums_of(n)) ** 2 <= MOST_CASES]
)
async def every_sum(dut, weight_bits):
    """Every pair of sums of two planes, signed and not."""
    sums = sums_of(weight_bits)
    bench = AccumulatorBench(dut, accumulator_of(weight_bits))
    await bench.start()
    lanes = bench.lanes
    pairs = np.array(list(itertools.product(sums, repeat=2)))  # (cases, planes)
    for negative in (False, True):
        cases = np.resize(pairs, (-(-len(pairs) // lanes) * lanes, 2)).reshape(-1, lanes, 2)
        await bench.check([Vector(weight_bits, negative, list(sums.T)) for sums in cases])


def planes_to(held: int, sums: range) -> list[int]:
    """Sums of planes behind which an accumulator holds a number, the last of them first."""
    planes = []
    while held:
        total = 2 * held  # an accumulator holds half of a total
        planes.append(min(max(total, sums[0]), sums[-1]))
        held = total - planes[-1]
    return planes


def beside_powers(numbers: range) -> list[int]:
    """Those that are a power of two, or next to one, of either sign; zero and the ends."""
    powers = [2**bit for bit in range(max(map(abs, (numbers[0], numbers[-1]))).bit_length() + 1)]
    near = {s * power + beside for power in powers for s in (1, -1) for beside in (-1, 0, 1)}
    return sorted(n for n in {*near, 0, numbers[0], numbers[-1]} if n in numbers)


@shows("shift_add.accumulate", "shift_add.widths")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def carries_reach_every_word(dut, weight_bits):
    """Accumulators and sums of planes beside powers of two and beside zero: carries begin and end
    at every word of the totals, in every lane beside lanes with others.
    """
    bench = AccumulatorBench(dut, accumulator_of(weight_bits))
    await bench.start()
    sums = sums_of(weight_bits)
    ends = beside_powers(sums)
    # Half of two sums together never is the highest or the lowest of all before the last plane.
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
