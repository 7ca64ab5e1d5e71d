"""The partial sum buffer, against a list."""

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
    """Jobs of every number of vectors up to the limit: each block writes its sums while it reads
    those of the block before, down to one vector a block, and pauses between.
    """
    bench = PartialSumsBench(dut)
    await bench.start()
    pause = BACK_PRESSURES[stall](bench.random)
    depth = TILE.partial_sums
    for vectors in sorted({*range(1, min(depth, 8) + 1), depth}):
        # A vector's sum is asked for in the cycle before that in which the next one is stored.
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
    """Reads and writes in 1000 random cycles, with a reset in every tenth."""
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
    """Every pair of cycles from reset, 256 cases, then a read of the first entry."""
    bench = PartialSumsBench(dut)
    await bench.start()
    choices = [dict(zip(IDLE, c, strict=True)) for c in itertools.product((0, 1), repeat=4)]
    for steps in itertools.product(choices, repeat=2):
        for step in steps:
            step = dict(step)
            if TILE.partial_sums == 1:  # an end leaves its entry only to come back to it
                step |= {"read_last": 1, "write_last": 1}
            await bench.step(**step)
        if bench.read_at < TILE.partial_sums:
            await bench.step(read=1, read_last=1)
        await bench.step()
        await bench.reset()
