"""Tests of the weight path against the program's order of blocks."""

import cocotb

from adq.rtl.platform.descriptors import Layer, Mode
from adq.verif.cocotb.random_layers import random_layer, vast_layer
from adq.verif.cocotb.weight_path.bench import WeightPathBench
from adq.verif.cocotb.weight_path.sizes import WEIGHT_PATHS
from adq.verif.simulation.testpoints import shows

BLOCKS = list(WEIGHT_PATHS)


@shows("platform.weights")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS, stall=["never", "bursts", "lazy"])
async def any_layers(dut, block, stall):
    """Layers follow each other, spread in every way; tiles take weights when they like."""
    idle = {"lazy": "often"}.get(stall, stall)
    bench = WeightPathBench(dut, block, idle=idle, stall=stall)
    await bench.start()
    for _ in range(2):
        await bench.check(
            [
                random_layer(bench.random, bench.parameters, work=400, mode=Mode.REQUANTIZE)
                for _ in range(6)
            ]
        )


@shows("platform.weights")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def groups_that_are_kept_and_others(dut, block):
    """Groups that just fit into half of a column's buffer are replayed, larger ones asked for
    again: once for each chunk, also where the last chunk is as large as the others.
    """
    bench = WeightPathBench(dut, block)
    p = bench.parameters
    await bench.start()
    fits = 1024 * p.weight_buffer_kib // (p.block_bytes * p.units)
    layers = []
    sides = (5, 2 * p.accumulator_vectors // 5)
    for rounds, width in ((fits, 5), (fits + 1, 5), (fits, 5), (fits + 1, sides[1])):
        layers.append(
            random_layer(
                bench.random, p, work=10_000, mode=Mode.REQUANTIZE, weight_bits=2, stacked=0,
                split=p.units, kernel_height=1, kernel_width=1, source_planes=1,
                source_words=rounds, source_pitch=rounds * p.rows, outputs=1, images_log=0,
                height=5, width=width, source_height=1, source_width=1, skip=0,
                padding_y=2, padding_x=2,
                pool_height=1, pool_width=1, pool_stride_y=1, pool_stride_x=1,
                pool_padding_y=0, pool_padding_x=0,
            )
        )  # fmt: skip
    requests = list(bench.requests(layers))
    chunks = [-(-5 * width // p.accumulator_vectors) for width in sides]
    assert (chunks, len(requests)) == ([3, 2], 2 + sum(chunks))
    await bench.check(layers)


@shows("platform.weights")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def vast_layers(dut, block):
    """Ask for the first groups of layers whose fields stand anywhere in their ranges."""
    bench = WeightPathBench(dut, block)
    await bench.start()
    for _ in range(30):
        layer = vast_layer(bench.random, bench.parameters)
        weights = bench.random.getrandbits(bench.random.randint(1, 32))
        await bench.begin(Layer(**vars(layer) | {"weights": weights}), limit=5)
        await bench.reset()


@shows("platform.weights")
@cocotb.test()
@cocotb.parametrize(block=BLOCKS)
async def reset_at_any_moment(dut, block):
    """Reset while weights are asked for, stored or given: the next layers get their own."""
    bench = WeightPathBench(dut, block, stall="often")
    await bench.start()

    def layers():
        return [random_layer(bench.random, bench.parameters, work=200) for _ in range(2)]

    for wait in (3, 11, 30, 60, 95, 150):
        bench.start_soon(bench.check(layers()))
        await bench.cycles(wait)
        await bench.reset()
        await bench.check(layers())
