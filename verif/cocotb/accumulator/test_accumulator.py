"""The accumulator, against sums of products of Python's integers."""

import itertools

import cocotb
import numpy as np

from verif.cocotb.accumulator.bench import PRECISIONS, AccumulatorBench, Vector
from verif.cocotb.bench import TILE
from verif.cocotb.streams import IDLES

MOST_CASES = 4096
"""Of an exhaustive test; precisions of which it would take more are left to the random ones."""


def sums_of(weight_bits: int) -> range:
    """Sums of a plane that weights of a precision can give."""
    most = 2 ** (weight_bits - 1)
    return range(-most * TILE.rows, (most - 1) * TILE.rows + 1)


def random_vector(bench, *, extreme: bool = False) -> Vector:
    """A vector of any precision, its leading planes passed over."""
    weight_bits = bench.random.choice(bench.precisions)
    activation_bits = bench.random.randint(1, TILE.max_activation_bits)
    planes = activation_bits if extreme else bench.random.randint(1, activation_bits)
    sums = sums_of(weight_bits)
    every = [sums[0], sums[-1]] if extreme else [0]
    return Vector(
        weight_bits,
        activation_bits,
        signed=bool(bench.random.randrange(2)),
        sums=[
            None
            if not extreme and bench.random.random() < 0.2
            else np.array([bench.random.choice(every) if extreme else s for s in row])
            for row in bench.rng.integers(sums[0], sums[-1] + 1, (planes, bench.lanes))
        ],
    )


@cocotb.test()
@cocotb.parametrize(widest=list(PRECISIONS), stall=[*IDLES], extreme=[False, True])
async def any_precision(dut, widest, stall, extreme):
    """Vectors of all precisions in turn; a vector leaves nothing to the next."""
    bench = AccumulatorBench(dut, widest, stall=stall)
    await bench.start()
    await bench.check([random_vector(bench, extreme=extreme) for _ in range(60)])


@cocotb.test()
@cocotb.parametrize(
    weight_bits=[n for n in TILE.weight_widths if len(sums_of(n)) ** 2 <= MOST_CASES]
)
async def every_sum(dut, weight_bits):
    """Every pair of sums of two planes, signed and not."""
    sums = sums_of(weight_bits)
    bench = AccumulatorBench(dut, min(w for w in PRECISIONS if w >= weight_bits))
    await bench.start()
    lanes = bench.lanes
    pairs = np.array(list(itertools.product(sums, repeat=2)))  # (cases, planes)
    for signed in (False, True):
        cases = np.resize(pairs, (-(-len(pairs) // lanes) * lanes, 2)).reshape(-1, lanes, 2)
        await bench.check([Vector(weight_bits, 2, signed, list(sums.T)) for sums in cases])
