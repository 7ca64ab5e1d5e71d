"""Tests of the drain against results that are computed one by one."""

import cocotb

from adq.rtl.platform.descriptors import Mode
from adq.verif.cocotb.drain.bench import DrainBench
from adq.verif.cocotb.drain.reference import random_layer
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
