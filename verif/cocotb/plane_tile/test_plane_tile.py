"""Tests of the plane tile against products of matrices."""

import itertools

import cocotb
import numpy as np

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.plane_tile.bench import Block, PlaneTileBench
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows


@shows("platform.tile")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=["never", "often", "bursts"])
async def any_blocks(dut, idle, stall):
    """Run random blocks of every weight width one after another."""
    bench = PlaneTileBench(dut, idle=idle, stall=stall)
    await bench.start()
    widths = [*TILE.weight_widths * 2]
    bench.random.shuffle(widths)
    await bench.check([bench.random_block(width, bench.random.randint(1, 5)) for width in widths])


@shows("platform.tile")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def every_precision(dut, weight_bits):
    """Run vectors of 1 to 16 planes, signed and not."""
    bench = PlaneTileBench(dut)
    await bench.start()
    await bench.check([bench.random_block(weight_bits, 4, planes) for planes in range(1, 17)])


@shows("platform.tile")
@cocotb.test()
async def extremes(dut):
    """Run the largest and the smallest operands of every precision."""
    bench = PlaneTileBench(dut)
    await bench.start()
    blocks = []
    for weight_bits, planes, signed in itertools.product(TILE.weight_widths, (1, 8, 16), (0, 1)):
        half = 2 ** (weight_bits - 1)
        least = -(2 ** (planes - 1)) if signed else 0
        for weight in (-half, half - 1):
            shape = TILE.rows, TILE.outputs(weight_bits)
            vectors = np.array([[least] * TILE.rows, [least + 2**planes - 1] * TILE.rows])
            blocks.append(Block(weight_bits, planes, signed, np.full(shape, weight), vectors))
    await bench.check(blocks)


@shows("platform.tile")
@cocotb.test()
async def throughput(dut):
    """A plane is taken in every cycle, across vectors and blocks whose weights are there."""
    bench = PlaneTileBench(dut)
    await bench.start()
    vectors = TILE.least_vectors(1, row_blocks=2)
    blocks = [bench.random_block(2, vectors, 1) for _ in range(4)]
    await bench.check(blocks)
    first = TILE.weight_beats - 1 + TILE.store_latency
    assert bench.moves <= first + 4 * vectors + TILE.latency(2) + 4


@shows("platform.tile")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while planes are on the way: the next block is right."""
    bench = PlaneTileBench(dut)
    await bench.start()
    for wait in range(1, 3 * TILE.weight_beats + 12, 3):
        cut_off = [bench.random_block(bench.random.choice(TILE.weight_widths), 3) for _ in range(3)]
        bench.start_soon(bench.check(cut_off))
        await bench.cycles(wait)
        await bench.reset()
        await bench.check([bench.random_block(bench.random.choice(TILE.weight_widths), 2)])
