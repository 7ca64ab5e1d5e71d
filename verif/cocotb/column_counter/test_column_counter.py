"""Tests of the column counter against Python's sum."""

import cocotb
import numpy as np

from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.column_counter.bench import ColumnCounterBench
from adq.verif.simulation.testpoints import shows

EXHAUSTIVE_ROWS = 10
SHAPE = (TILE.rows, TILE.columns)


@shows("columns.count", exhaustive=True)
@cocotb.test() if TILE.rows <= EXHAUSTIVE_ROWS else left_out
async def every_column(dut):
    """Count every value in every column: ``2**rows`` cases in each."""
    bench = ColumnCounterBench(dut)
    await bench.start()
    places = np.arange(TILE.columns)
    for value in range(2**TILE.rows):
        column_values = (value + places) % 2**TILE.rows
        await bench.check((column_values >> np.arange(TILE.rows)[:, None]) & 1)


@shows("columns.count", exhaustive=True)
@cocotb.test()
async def single_rows(dut):
    """Count columns with no, one, all but one and all rows set."""
    bench = ColumnCounterBench(dut)
    await bench.start()
    for row in range(TILE.rows):
        products = np.zeros(SHAPE, int)
        products[row] = 1
        await bench.check(products)
        await bench.check(1 - products)
    for value in (0, 1):
        await bench.check(np.full(SHAPE, value))


@shows("columns.count")
@cocotb.test()
async def random_products(dut):
    """Count random products of random density, in 100 cycles."""
    bench = ColumnCounterBench(dut)
    await bench.start()
    for density in bench.rng.random(100):
        await bench.check((bench.rng.random(SHAPE) < density).astype(int))
