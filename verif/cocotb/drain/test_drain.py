"""Tests of the drain against results that are computed one by one."""

import cocotb

from adq.rtl.platform.descriptors import Mode
from adq.rtl.platform.results.drain_settings import TABLE_PLANES
from adq.verif.cocotb.drain.bench import DrainBench
from adq.verif.cocotb.drain.reference import Results, random_layer, wrapped
from adq.verif.cocotb.drain.sizes import DRAINS
from adq.verif.simulation.testpoints import shows

BLOCKS = list(DRAINS)

MODES = [Mode.REQUANTIZE, Mode.RAW, Mode.TABLE, Mode.THRESHOLDS]


@shows("platform.drain")
@cocotb.test()
@cocotb.parametrize(
    block=BLOCKS, pauses=[("never", "never"), ("often", "often"), ("bursts", "lazy")]
)
async def any_layers(dut, block, pauses):
    """Drain random layers: every mode, pooling, skip connections, images in slots."""
    bench = DrainBench(dut, block, idle=pauses[0], stall=pauses[1])
    await bench.start()
    for _ in range(6):
        layer = random_layer(bench.random, bench.parameters)
        await bench.check(layer, bench.random.randrange(9))


@shows("platform.drain")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS[:2], mode=MODES)
async def every_width(dut, block, mode):
    """Drain layers of every weight width in every mode."""
    bench = DrainBench(dut, block)
    await bench.start()
    for weight_bits in bench.parameters.tile.weight_widths:
        for skip in (0, 1) if mode == Mode.REQUANTIZE else (0,):
            layer = random_layer(
                bench.random, bench.parameters, weight_bits=weight_bits, mode=mode, skip=skip
            )
            await bench.check(layer)


def full_groups(bench: DrainBench, mode: int, groups: int) -> Results:
    """Return results of two pixels, with all outputs of some groups of 2-bit weights."""
    p = bench.parameters
    outputs = groups * p.tile.outputs(2)
    layer = random_layer(
        bench.random, p, mode=mode, weight_bits=2, outputs=outputs, height=1, width=2,
        source_planes=TABLE_PLANES, target_planes=16, skip=0, skip_planes=1, images_log=0,
        pool_height=1, pool_width=1, pool_stride_y=1, pool_stride_x=1, pool_padding_y=0,
        pool_padding_x=0, accumulator_bits=TABLE_PLANES,
    )  # fmt: skip
    return Results(bench.random, layer, 0, p)


@shows("platform.drain")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def every_bit_of_tables_and_parameters(dut, block):
    """Fill table and parameters with random bits, their complements, and the same bits again."""
    bench = DrainBench(dut, block)
    await bench.start()
    given = full_groups(bench, Mode.TABLE, groups=1)
    table = given.table
    for mask in (0, 0xFFFF, 0):
        given.table = [entry ^ mask for entry in table]
        await bench.check(given.layer, given=given)
    given = full_groups(bench, Mode.REQUANTIZE, groups=2)
    widths = (16, 16, 64)
    outputs = [[bench.random.getrandbits(bits) for bits in widths] for _ in given.outputs]
    for complement in (False, True, False):
        given.outputs = [
            tuple(wrapped(~each if complement else each, bits)
                  for each, bits in zip(output, widths, strict=True))
            for output in outputs
        ]  # fmt: skip
        await bench.check(given.layer, given=given)


@shows("platform.drain")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def throughput(dut, block):
    """Where nothing waits, a step takes a cycle, or one for each plane of the skip connection."""
    bench = DrainBench(dut, block)
    await bench.start()
    p = bench.parameters
    for skip_planes in (0, 1, 3):
        layer = random_layer(
            bench.random, p, mode=Mode.REQUANTIZE, skip=int(skip_planes > 0), target_planes=1,
            skip_planes=max(skip_planes, 1), height=5, width=4, pool_height=1, pool_width=1,
            pool_stride_y=1, pool_stride_x=1, pool_padding_y=0, pool_padding_x=0, outputs=8,
            target_channel=0, skip_channel=0, target_pitch=p.rows, skip_pitch=p.rows,
        )  # fmt: skip
        steps = 0
        lanes = p.tile.outputs(layer.weight_bits)
        for first in range(0, layer.outputs, lanes):
            steps += -(-min(lanes, layer.outputs - first) // p.requantizers)
        steps *= max(skip_planes, 1) * layer.windows
        cycles = await bench.check(layer)
        # Records of the first group, then the pipeline, at either end.
        slack = min(lanes, layer.outputs) + 12
        jobs = -(-layer.windows // p.accumulator_vectors) * -(-layer.outputs // lanes)
        assert cycles <= steps + jobs + slack, (layer, steps)


@shows("platform.drain")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while results are on the way: the next layer is right."""
    bench = DrainBench(dut, BLOCKS[0], stall="often")
    await bench.start()
    for wait in range(1, 50, 7):
        await bench.check(random_layer(bench.random, bench.parameters), cut_off=wait)
        await bench.reset()
        layer = random_layer(bench.random, bench.parameters, images_log=0, outputs=5)
        await bench.check(layer)
