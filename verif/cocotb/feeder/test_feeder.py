"""Tests of the bit-plane feeder against planes assembled bit by bit."""

import itertools

import cocotb

from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.feeder.bench import FeederBench, planes_of
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows

EXHAUSTIVE_BITS = 10
"""Maximum bits of a vector (all words together) in the exhaustive test."""


def random_vectors(bench, bits: int, count: int) -> list[list[int]]:
    """Return random vectors of several densities, including zeros and small words."""
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
    """Send words of 1 to 16 bits, with random values in the unused bits above."""
    bench = FeederBench(dut, idle=idle, stall=stall)
    await bench.start()
    for bits in bench.random.sample(range(1, 17), 16):
        ones, zeros = [2**bits - 1] * TILE.rows, [0] * TILE.rows
        await bench.check([*random_vectors(bench, bits, 6), ones, zeros], bits)


@shows("planes.order", "planes.skipped", exhaustive=True)
@cocotb.test() if TILE.rows <= EXHAUSTIVE_BITS else left_out
async def every_vector(dut):
    """Send every vector of at most ten bits, forwards and backwards: ``2**(rows * bits)`` cases."""
    bench = FeederBench(dut)
    await bench.start()
    for bits in range(1, min(EXHAUSTIVE_BITS // TILE.rows, TILE.max_activation_bits) + 1):
        vectors = [list(words) for words in itertools.product(range(2**bits), repeat=TILE.rows)]
        await bench.check(vectors + vectors[::-1], bits)


@shows("planes.skipped", "planes.throughput")
@cocotb.test()
async def throughput(dut):
    """Check that the feeder offers one plane per cycle, without gaps between vectors."""
    bench = FeederBench(dut)
    await bench.start()
    for bits in (1, 2, 7, 16):
        vectors = random_vectors(bench, bits, 30)
        planes = [len(planes_of(words, bits)) for words in vectors]
        # One cycle fetches the first vector; later vectors are fetched in time.
        assert await bench.check(vectors, bits) == 1 + TILE.block_cycles(planes)


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(stall=["never", "often"])
async def reset_at_any_moment(dut, stall):
    """Reset in each of the first cycles of 4-bit vectors: later vectors are not affected."""
    bench = FeederBench(dut, stall=stall)
    await bench.start()
    for cycles in range(1, 14):
        await bench.check([[15] * TILE.rows] * 4, 4, cycles=cycles)
        await bench.reset()
        await bench.check(random_vectors(bench, 3, 3), 3)
