"""Tests of the plane memory against a list of words."""

import cocotb

from adq.verif.cocotb.plane_memory.bench import PlaneMemoryBench
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.simulation.testpoints import shows


async def filled(dut) -> PlaneMemoryBench:
    """Return a bench whose memory holds random words."""
    bench = PlaneMemoryBench(dut)
    await bench.start()
    for address in range(SMALL.plane_memory_words):
        word = bench.random.getrandbits(SMALL.rows)
        await bench.step(write={"address": address, "word": word, "mask": 2**SMALL.rows - 1})
    return bench


@shows("platform.memory")
@cocotb.test()
async def any_accesses(dut):
    """Fetch, read and write at random, often at the same address in the same cycle."""
    bench = await filled(dut)
    for _ in range(1500):
        fetch = bench.random_fetch() if bench.random.random() < 0.7 else None
        near = bench.random.randrange(SMALL.plane_memory_words)
        if fetch and bench.random.random() < 0.5:
            near = min(fetch["address"] + bench.random.randrange(2), SMALL.plane_memory_words - 1)
        read = near if bench.random.random() < 0.7 else None
        write = bench.random_write(near) if bench.random.random() < 0.7 else None
        await bench.step(fetch, read, write)


@shows("platform.memory")
@cocotb.test()
async def every_address(dut):
    """Read every word, alone and with its neighbour, by both ports."""
    bench = await filled(dut)
    words = SMALL.plane_memory_words
    for address in range(words):
        assert await bench.step({"address": address, "first": 1, "second": 0}, address ^ 1)
        await bench.step({"address": address, "first": int(address % 3 > 0), "second": 1})
    await bench.step()
