"""Tests of the weight array against the loaded blocks."""

import cocotb
import numpy as np

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.streams import IDLES
from adq.verif.cocotb.weight_array.bench import SHAPE, WeightArrayBench
from adq.verif.simulation.testpoints import shows


@shows("weights.stored", "weights.banks")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=[*IDLES])
async def blocks_load_while_others_compute(dut, idle, stall):
    """Run random blocks and planes: products never come from the bank that loads."""
    bench = WeightArrayBench(dut, idle=idle, stall=stall)
    await bench.start()
    await bench.check(bench.random_uses(12))


@shows("weights.stored")
@cocotb.test()
async def every_cell(dut):
    """Set or clear a single weight bit in every cell, with all rows active."""
    bench = WeightArrayBench(dut)
    await bench.start()
    all_rows = np.ones(TILE.rows, int)
    cells = [(r, c) for r in range(TILE.rows) for c in range(TILE.columns)]
    if len(cells) > 512:
        cells = bench.random.sample(cells, 512)
    uses = []
    for cell in cells:
        block = np.zeros(SHAPE, int)
        block[cell] = 1
        uses += [(block, [all_rows]), (1 - block, [all_rows])]
    bench.random.shuffle(uses)
    await bench.check(uses)


@shows("weights.banks", "tile.cycles")
@cocotb.test()
async def loading_hides(dut):
    """Check that loads are hidden from ``least_vectors`` on, and not with one plane less."""
    bench = WeightArrayBench(dut)
    await bench.start()
    enough = TILE.least_vectors(1, row_blocks=2)
    blocks = 6
    for planes in (enough, enough - 1):
        await bench.reset()
        uses = [
            (bench.rng.integers(0, 2, SHAPE), list(bench.rng.integers(0, 2, (planes, TILE.rows))))
            for _ in range(blocks)
        ]
        first = TILE.weight_beats - 1 + TILE.store_latency
        gapless = first + blocks * planes + 1  # and the last release
        assert (await bench.check(uses) == gapless) == (planes == enough)


@shows("tile.reset")
@cocotb.test()
@cocotb.parametrize(idle=["never", "often"])
async def reset_at_any_moment(dut, idle):
    """Reset while loading and computing: later blocks run as after the first reset."""
    bench = WeightArrayBench(dut, idle=idle)
    await bench.start()
    for cycles in range(1, 3 * TILE.weight_beats + 4, max(1, TILE.weight_beats // 8)):
        await bench.reset()
        await bench.check(bench.random_uses(4), cycles=cycles)
        await bench.reset()
        await bench.check(bench.random_uses(2))
