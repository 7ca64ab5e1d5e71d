"""Tests of maximum pooling against the largest of a list."""

import itertools

import cocotb

from adq.verif.cocotb.maximum_pool.bench import MaximumPoolBench
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES
from adq.verif.simulation.testpoints import shows


def random_windows(bench, least: int, most: int, count: int) -> list[list[tuple[int, bool]]]:
    """Draw windows of 1 to 9 pixels; some have none inside, and extremes occur."""
    windows = []
    for _ in range(count):
        inside = bench.random.choice((0.0, 0.5, 1.0))
        values = (least, most, *(bench.random.randint(least, most) for _ in range(4)))
        windows.append(
            [
                (bench.random.choice(values), bench.random.random() < inside)
                for _ in range(bench.random.randint(1, 9))
            ]
        )
    return windows


@shows("platform.pooling")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=list(BACK_PRESSURES))
async def every_format(dut, idle, stall):
    """Send windows of activations of every format."""
    bench = MaximumPoolBench(dut, idle=idle, stall=stall)
    await bench.start()
    for planes, signed in itertools.product(range(1, 17), (0, 1)):
        least = -(2 ** (planes - 1)) if signed else 0
        windows = random_windows(bench, least, least + 2**planes - 1, 6)
        await bench.check(least, windows)


@shows("platform.pooling", exhaustive=True)
@cocotb.test()
async def every_order(dut):
    """Send every window of up to three pixels of four values, each inside or not."""
    bench = MaximumPoolBench(dut)
    await bench.start()
    pixels = list(itertools.product((-2, -1, 0, 1), (False, True)))
    windows = [
        list(window) for size in (1, 2, 3) for window in itertools.product(pixels, repeat=size)
    ]
    await bench.check(-2, windows)


@shows("platform.pooling")
@cocotb.test()
async def throughput(dut):
    """A pixel is taken in every cycle, and the window leaves in the next one."""
    bench = MaximumPoolBench(dut)
    await bench.start()
    windows = [
        [(bench.random.randrange(99), True) for _ in range(size)] for size in (1, 4, 1, 2, 9)
    ]
    await bench.check(0, windows)
    taken = [cycle for cycle, _ in bench.monitors["pixels"].taken]
    assert taken == list(range(taken[0], taken[0] + 17))
    ends = [taken[0] + end for end in itertools.accumulate(map(len, windows))]
    assert [cycle for cycle, _ in bench.monitors["windows"].taken] == ends


@shows("platform.pooling")
@cocotb.test()
async def reset_within_a_window(dut):
    """A window that a reset cuts off leaves nothing for the next one."""
    bench = MaximumPoolBench(dut)
    await bench.start()
    for wait in range(1, 8):
        large = [pack_open(99) for _ in range(20)]
        bench.start_soon(bench.sources["pixels"].send(large))
        await bench.cycles(wait)
        await bench.reset()
        await bench.check(0, [[(3, True), (5, True)], [(0, True)]])


def pack_open(value: int) -> int:
    """Return the beat of a pixel that does not end its window."""
    return value | 1 << 17
