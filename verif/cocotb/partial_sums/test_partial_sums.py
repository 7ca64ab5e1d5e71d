"""Tests of the partial sum buffer against a list."""

import itertools

import cocotb

from adq.verif.cocotb.bench import TILE, left_out
from adq.verif.cocotb.partial_sums.bench import PartialSumsBench
from adq.verif.cocotb.streams import BACK_PRESSURES
from adq.verif.simulation.testpoints import shows

IDLE = {"read": 0, "read_last": 0, "write": 0, "write_last": 0}


@shows("shift_add.row_blocks")
@cocotb.test() if TILE.partial_sums else left_out
@cocotb.parametrize(stall=["never", "often", "bursts"])
async def row_blocks(dut, stall):
    """Run jobs of 1 to 8 vectors and of the maximum, with pauses.

    Each row block writes its sums while it reads those of the previous block.
    """
    bench = PartialSumsBench(dut)
    await bench.start()
    pause = BACK_PRESSURES[stall](bench.random)
    depth = TILE.partial_sums
    for vectors in sorted({*range(1, min(depth, 8) + 1), depth}):
        # The sum of a vector is read one cycle before its new sum is written.
        for vector in range(3 * vectors + 1):
            while pause(False):
                await bench.step()
            await bench.step(
                read=vectors <= vector < 3 * vectors,
                read_last=(vector + 1) % vectors == 0,
                write=0 < vector <= 2 * vectors,
                write_last=vector % vectors == 0,
            )
        await bench.step()


@shows("shift_add.row_blocks")
@cocotb.test() if TILE.partial_sums else left_out
async def any_order(dut):
    """Read and write randomly for 1000 cycles, with a reset in every tenth cycle."""
    bench = PartialSumsBench(dut)
    await bench.start()
    end = TILE.partial_sums - 1
    for cycle in range(1000):
        read, read_last, write, write_last = (bench.random.random() < 0.5 for _ in IDLE)
        await bench.step(
            read=read,
            read_last=read_last or bench.read_at == end,
            write=write,
            write_last=write_last or bench.write_at == end,
        )
        if cycle % 10 == 9:
            await bench.reset()


@shows("shift_add.row_blocks")
@cocotb.test() if TILE.partial_sums else left_out
async def every_two_cycles(dut):
    """Run every pair of cycles after reset (256 cases), then read an entry."""
    bench = PartialSumsBench(dut)
    await bench.start()
    choices = [dict(zip(IDLE, c, strict=True)) for c in itertools.product((0, 1), repeat=4)]
    for steps in itertools.product(choices, repeat=2):
        for step in steps:
            step = dict(step)
            if TILE.partial_sums == 1:  # the only entry is also the last
                step |= {"read_last": 1, "write_last": 1}
            await bench.step(**step)
        if bench.read_at < TILE.partial_sums:
            await bench.step(read=1, read_last=1)
        await bench.step()
        await bench.reset()
