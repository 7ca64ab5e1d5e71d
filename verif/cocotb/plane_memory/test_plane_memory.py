"""Tests of the plane memory against a list of words."""

import cocotb

from adq.verif.cocotb.plane_memory.bench import PlaneMemoryBench
from adq.verif.cocotb.plane_memory.sizes import PLANE_MEMORIES
from adq.verif.simulation.testpoints import shows

BLOCKS = list(PLANE_MEMORIES)


async def filled(dut, block: str) -> PlaneMemoryBench:
    """Return a bench whose memory holds random words."""
    bench = PlaneMemoryBench(dut, block)
    await bench.start()
    await bench.fill()
    return bench


@shows("platform.memory")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS, share=[0.2, 0.7, 1.0])
async def any_accesses(dut, block, share):
    """Fetch, read and write at random, often at the same address in the same cycle."""
    bench = await filled(dut, block)
    draw = bench.random
    for _ in range(700):
        near = bench.address()

        def address(near=near) -> int:
            if draw.random() < 0.5:
                return bench.address()
            return min(near + draw.randrange(3), bench.words - 1)

        def some() -> list[int]:
            return [port for port in bench.ports if draw.random() < share]

        await bench.step(
            {port: bench.random_fetch(address()) for port in some()},
            {port: address() for port in some()},
            {port: bench.random_write(address()) for port in some()},
        )


@shows("platform.memory")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def every_address(dut, block):
    """Read every word, alone and with its neighbour, by every port."""
    bench = await filled(dut, block)
    for port in bench.ports:
        for address in range(bench.words):
            taken = await bench.step(
                {port: {"address": address, "first": 1, "second": 0}}, {port: address ^ 1}
            )
            assert taken
            both = int(address % 3 > 0)
            await bench.step({port: {"address": address, "first": both, "second": 1}})
    await bench.step()


@shows("platform.memory")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def words_stand(dut, block):
    """Fetched words stand while other banks are read, and any are written."""
    bench = await filled(dut, block)
    for _ in range(40):
        await bench.step({port: bench.random_fetch() for port in bench.ports})
        fetched = {each[0] for words in bench.standing for each in words if each}
        for _ in range(8):
            address, port = bench.address(), bench.random.choice(bench.ports)
            reads = {} if bench.bank(address) in fetched else {port: address}
            await bench.step({}, reads, {port: bench.random_write()})
