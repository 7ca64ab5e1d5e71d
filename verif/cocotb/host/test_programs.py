"""Tests of the platform with its bus: random programs against the interpreter."""

import cocotb

from adq.rtl.platform.descriptors import Mode
from adq.verif.cocotb.host.bench import PLATFORM, HostBench, RandomProgram, random_program
from adq.verif.cocotb.random_layers import random_layer
from adq.verif.simulation.testpoints import shows


@shows("platform.host", "platform.counters")
@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.3, 0.8])
async def any_programs(dut, share):
    """Run random programs one after another, on a bus that waits."""
    bench = HostBench(dut)
    await bench.begin()
    await bench.driver.check(bench.platform)
    if share:
        bench.memory.wait_at_random(bench.random, share)
    for loops in ((), (2,), (2, 2)):
        await bench.run(random_program(bench, loops=loops))


@shows("platform.bus", "platform.host")
@cocotb.test()
@cocotb.parametrize(kernel=[(5, 6), (6, 6)], outputs=[8, 9])
async def weights_come_once_or_once_a_chunk(dut, kernel, outputs):
    """Groups of outputs that fit into half of the weight buffer come once, others once a chunk."""
    bench = HostBench(dut)
    await bench.begin()
    height, width = kernel
    layer = random_layer(
        bench.random, PLATFORM, work=3000, mode=Mode.REQUANTIZE, weight_bits=2, skip=0,
        kernel_height=height, kernel_width=width, source_planes=1, source_pitch=PLATFORM.rows,
        source_words=1, outputs=outputs, images_log=0, height=6, width=6,
        pool_height=1, pool_width=1, pool_padding_y=0, pool_padding_x=0,
        pool_stride_y=1, pool_stride_x=1, stacked=0, split=PLATFORM.units,
    )  # fmt: skip
    program = RandomProgram(bench.rng, [layer])
    await bench.run(program)
    column = height * width * PLATFORM.units * PLATFORM.block_bytes
    group = column * PLATFORM.tile_columns
    groups = -(-outputs // (PLATFORM.units * PLATFORM.tile_columns * PLATFORM.columns // 2))
    chunks = -(-36 // PLATFORM.accumulator_vectors)
    assert chunks > 1
    loads = 1 if column <= 1024 * PLATFORM.weight_buffer_kib else chunks
    assert loads == (chunks if kernel == (6, 6) else 1)
    read = 2 * 64 * len(program.descriptors) + 16 * outputs + groups * loads * group
    read += PLATFORM.plane_memory_words * PLATFORM.rows // 8
    counters = await bench.driver.counters()
    if PLATFORM.bus_bits <= 128:  # what is read ends with a beat
        assert counters.read_beats == 8 * read // PLATFORM.bus_bits
