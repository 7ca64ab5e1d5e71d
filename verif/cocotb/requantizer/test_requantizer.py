"""Tests of the requantizer against whole numbers."""

import itertools

import cocotb

from adq.verif.cocotb.requantizer.bench import Configuration, RequantizerBench
from adq.verif.cocotb.requantizer.sizes import NARROW, WIDE
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES
from adq.verif.simulation.testpoints import shows

ZERO = {"sum": 0, "skip": 0, "multiplier": 0, "skip_multiplier": 0, "constant": 0}


@shows("platform.requantizer")
@cocotb.test()
@cocotb.parametrize(idle=list(IDLES), stall=list(BACK_PRESSURES))
async def any_operands(dut, idle, stall):
    """Send random operands and extremes, for random shifts and formats."""
    bench = RequantizerBench(dut, WIDE, idle=idle, stall=stall)
    await bench.start()
    for _ in range(12):
        configuration = Configuration(
            shift=bench.random.randrange(64),
            skip_shift=bench.random.randrange(64),
            planes=bench.random.randint(1, 16),
            signed=bench.random.randrange(2),
            raw=int(bench.random.random() < 0.2),
        )
        await bench.check(configuration, [bench.random_operands() for _ in range(12)])


@shows("platform.requantizer")
@cocotb.test()
async def every_shift_and_format(dut):
    """Send sums around the limits of every format, at every shift, rounded and not."""
    bench = RequantizerBench(dut, WIDE)
    await bench.start()
    for shift, (planes, signed) in itertools.product(
        range(63), itertools.product((1, 2, 3, 8, 15, 16), (0, 1))
    ):
        least = -(2 ** (planes - 1)) if signed else 0
        edges = {least, least + 2**planes - 1, 0}
        totals = {(edge << shift) + beside for edge in edges for beside in (-1, 0, 1)}
        totals |= {(edge << shift) - (1 << shift >> 1) for edge in edges}
        operands = [ZERO | {"constant": t} for t in sorted(totals) if -(2**63) <= t < 2**63]
        await bench.check(Configuration(shift, 0, planes, signed, 0), operands)


@shows("platform.requantizer", exhaustive=True)
@cocotb.test()
async def every_total(dut):
    """Send every sum of a narrow requantizer, at every shift and in every format."""
    bench = RequantizerBench(dut, NARROW)
    await bench.start()
    operands = [ZERO | {"constant": total} for total in range(-128, 128)]
    for shift, planes, signed in itertools.product(range(8), range(1, 4), (0, 1)):
        await bench.check(Configuration(shift, 0, planes, signed, 0), operands)


@shows("platform.requantizer", exhaustive=True)
@cocotb.test()
async def every_product(dut):
    """Send every pair of factors to a narrow requantizer, at every skip shift, with pauses."""
    bench = RequantizerBench(dut, NARROW, idle="often", stall="often")
    await bench.start()
    skips = [
        ZERO | {"skip": skip, "skip_multiplier": factor}
        for skip, factor in itertools.product(range(-8, 8), range(-4, 4))
    ]
    sums = [
        ZERO | {"sum": number, "multiplier": factor}
        for number, factor in itertools.product(range(-4, 4), repeat=2)
    ]
    for skip_shift in range(8):
        await bench.check(Configuration(0, skip_shift, 1, 0, 1), skips + sums)


@shows("platform.requantizer")
@cocotb.test()
async def throughput(dut):
    """A result leaves in every cycle, three cycles behind its accumulator."""
    bench = RequantizerBench(dut, WIDE)
    await bench.start()
    await bench.check(Configuration(3, 2, 8, 1, 0), [bench.random_operands() for _ in range(20)])
    taken = [cycle for cycle, _ in bench.monitors["accumulators"].taken]
    given = [cycle for cycle, _ in bench.monitors["results"].taken]
    assert taken == list(range(taken[0], taken[0] + 20))
    assert given == [cycle + 3 for cycle in taken]


@shows("platform.requantizer")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while results are on the way: none of them leaves, and the next are right."""
    bench = RequantizerBench(dut, WIDE, stall="often")
    await bench.start()
    for wait in range(1, 12):
        beats = [bench.random.getrandbits(161) for _ in range(8)]
        bench.start_soon(bench.sources["accumulators"].send(beats))
        await bench.cycles(wait)
        await bench.reset()
        operands = [bench.random_operands() for _ in range(5)]
        await bench.check(Configuration(1, 1, 16, 1, 0), operands)
