"""Tests of the fuser against sums in Python integers."""

import itertools

import cocotb
import numpy as np

from adq.verif.cocotb.bench import TILE
from adq.verif.cocotb.fuser.bench import FuserBench
from adq.verif.cocotb.streams import IDLES
from adq.verif.simulation.testpoints import shows

MOST_CYCLES = 4096
"""Maximum cycles of an exhaustive test. Weight widths that take more have only random tests."""


def cycles_of_all(weight_bits: int) -> int:
    """Return the cycles that cover every combination of the column counts of a weight."""
    return -(-((TILE.rows + 1) ** weight_bits) // TILE.outputs(weight_bits))


@shows("shift_add.fuse", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(weight_bits=[n for n in TILE.weight_widths if cycles_of_all(n) <= MOST_CYCLES])
async def every_weight(dut, weight_bits):
    """Fuse every combination of a weight's column counts: ``(rows + 1)**weight_bits`` cases."""
    bench = FuserBench(dut)
    await bench.start()
    cases = list(itertools.product(range(TILE.rows + 1), repeat=weight_bits))
    rows = cycles_of_all(weight_bits)
    counts = np.resize(np.array(cases), (rows * TILE.outputs(weight_bits), weight_bits))
    counts = counts.reshape(rows, TILE.columns)
    await bench.check([(weight_bits, row) for row in counts])


@shows("shift_add.fuse")
@cocotb.test()
@cocotb.parametrize(stall=[*IDLES])
async def precisions_follow_each_other(dut, stall):
    """Fuse random and extreme counts, with a weight width that changes from plane to plane."""
    bench = FuserBench(dut, stall=stall)
    await bench.start()
    rng = bench.rng
    planes = []
    for _ in range(150):
        counts = rng.choice(
            [rng.integers(0, TILE.rows + 1, TILE.columns), rng.choice([0, TILE.rows], TILE.columns)]
        )
        planes.append((int(rng.choice(TILE.weight_widths)), counts))
    await bench.check(planes)


@shows("shift_add.fuse", "shift_add.widths")
@cocotb.test()
@cocotb.parametrize(weight_bits=list(TILE.weight_widths))
async def extremes(dut, weight_bits):
    """Fuse counts that give the maximum and the minimum sum in every output."""
    bench = FuserBench(dut)
    await bench.start()
    top = np.arange(TILE.columns) % weight_bits == weight_bits - 1
    await bench.check([(weight_bits, np.where(top == sign, TILE.rows, 0)) for sign in (0, 1, 0)])
