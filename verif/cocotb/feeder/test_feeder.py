"""The bit-plane feeder, against planes picked bit by bit."""

import itertools

import cocotb

from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.feeder.bench import FeederBench, planes_of
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows

EXHAUSTIVE_BITS = 10
"""Bits of all words of a vector together, up to which every vector is tested."""


def random_vectors(bench, bits: int, count: int) -> list[list[int]]:
    """Vectors of every density, some of them zeros or with low words only."""
    vectors = []
    for _ in range(count):
        density = bench.random.choice((0, 0.1, 0.5, 1))
        most = 2 ** bench.random.randint(1, bits)
        vectors.append(
            [
                bench.random.randrange(most) if bench.random.random() < density else 0
                for _ in range(TILE.rows)
            ]
        )
    return vectors


@shows("planes.order")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=[*IDLES])
async def every_precision(dut, idle, stall):
    """Words of 1 to 16 bits, below noise that the precision leaves out."""
    bench = FeederBench(dut, idle=idle, stall=stall)
    await bench.start()
    for bits in bench.random.sample(range(1, 17), 16):
        ones, zeros = [2**bits - 1] * TILE.rows, [0] * TILE.rows
        await bench.check([*random_vectors(bench, bits, 6), ones, zeros], bits)


@shows("planes.order", "planes.skipped", exhaustive=True)
@cocotb.test() if TILE.rows <= EXHAUSTIVE_BITS else left_out
async def every_vector(dut):
    """Every vector of at most ten bits: ``2**(rows * bits)`` cases, in sequence and then back."""
    bench = FeederBench(dut)
    await bench.start()
    for bits in range(1, min(EXHAUSTIVE_BITS // TILE.rows, TILE.max_activation_bits) + 1):
        vectors = [list(words) for words in itertools.product(range(2**bits), repeat=TILE.rows)]
        await bench.check(vectors + vectors[::-1], bits)


@shows("planes.skipped", "planes.throughput")
@cocotb.test()
async def throughput(dut):
    """A plane a cycle, vectors without a gap between them."""
    bench = FeederBench(dut)
    await bench.start()
    for bits in (1, 2, 7, 16):
        vectors = random_vectors(bench, bits, 30)
        planes = [len(planes_of(words, bits)) for words in vectors]
        # A vector that is never late, behind the cycle that fetches the first.
        assert await bench.check(vectors, bits) == 1 + TILE.block_cycles(planes)


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """After each of the first cycles of vectors of four bits."""
    bench = FeederBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 14):
        await bench.check([[15] * TILE.rows] * 4, 4, cycles=cycles)
        await bench.reset()
        await bench.check(random_vectors(bench, 3, 3), 3)
