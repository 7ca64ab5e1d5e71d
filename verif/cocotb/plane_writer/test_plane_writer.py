"""Tests of the plane writer against a memory of bits."""

import cocotb

from adq.verif.cocotb.drain.sizes import WRITERS
from adq.verif.cocotb.plane_writer.bench import PlaneWriterBench
from adq.verif.simulation.testpoints import shows

BLOCKS = list(WRITERS)


def random_pixels(bench: PlaneWriterBench, planes: int, plane_step: int, count: int) -> list[tuple]:
    """Draw pixels, some of which share words; outputs may end in the next word."""
    p, pixels = bench.parameters, []
    lanes = p.tile.lanes
    reach = (planes - 1) * plane_step + lanes // p.rows + 2
    for _ in range(count):
        size = bench.random.choice((1, 2, lanes, bench.random.randint(1, lanes)))
        values = [bench.random.getrandbits(16) for _ in range(size)]
        address = bench.random.randrange(p.plane_memory_words - reach)
        pixels.append((address, bench.random.randrange(p.rows), values))
    return pixels


@shows("platform.writer")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS, idle=["never", "bursts"])
async def any_pixels(dut, block, idle):
    """Write pixels of every number of planes, at any bit of any word, into a memory that waits."""
    bench = PlaneWriterBench(dut, block, idle=idle, stall={"never": "lazy"}.get(idle, idle))
    await bench.start()
    for planes in range(1, 17):
        plane_step = bench.random.choice((3, 4, 7))  # more than the words of a pixel
        await bench.check(planes, plane_step, random_pixels(bench, planes, plane_step, 5))


@shows("platform.writer", exhaustive=True)
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def every_place(dut, block):
    """Write every number of outputs at every bit of a word."""
    bench = PlaneWriterBench(dut, block)
    await bench.start()
    p = bench.parameters
    for offset in range(p.rows):
        pixels = [
            (bench.random.randrange(32), offset, [bench.random.getrandbits(16) for _ in range(n)])
            for n in range(1, p.tile.lanes + 1)
        ]
        await bench.check(1, 3, pixels)


@shows("platform.writer")
@cocotb.test()
async def throughput(dut):
    """A slice is taken in every cycle where a pixel has no more words than slices."""
    bench = PlaneWriterBench(dut, BLOCKS[0])
    await bench.start()
    p = bench.parameters
    pixels = [(place, 0, [7] * p.tile.lanes) for place in range(10)]
    await bench.check(p.slices(2), 1, pixels)
    taken = [cycle for cycle, _ in bench.monitors["slices"].taken]
    assert taken == list(range(taken[0], taken[0] + 10 * p.slices(2)))


@shows("platform.writer")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while pixels are collected or written: none of them is written behind it."""
    bench = PlaneWriterBench(dut, BLOCKS[0])
    await bench.start()
    for wait in range(1, 20, 3):
        bench.start_soon(bench.check(5, 3, random_pixels(bench, 5, 3, 6)))
        await bench.cycles(wait)
        await bench.reset()
        await bench.check(3, 3, random_pixels(bench, 3, 3, 4))
