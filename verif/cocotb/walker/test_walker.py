"""Tests of the walker against loops over bits."""

import itertools

import cocotb

from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.cocotb.random_layers import random_layer, vast_layer
from adq.verif.cocotb.walker.bench import WalkerBench
from adq.verif.simulation.testpoints import shows


@shows("platform.walker")
@cocotb.test()
@cocotb.parametrize(most=[0, 3, 40], held=[False, True])
async def any_layers(dut, most, held):
    """Run random layers one after another, whatever time banks, halves and fetches take."""
    bench = WalkerBench(dut, most=most, held=held)
    await bench.start()
    for _ in range(25):
        layer = random_layer(bench.random, SMALL, work=500)
        await bench.check(layer, bench.random.randrange(100))


@shows("platform.walker")
@cocotb.test()
async def every_pitch(dut):
    """Run small kernels over pixels of every pitch, with every padding and step."""
    bench = WalkerBench(dut)
    await bench.start()
    pitches = [1, 2, 4, 8, 16, 32, 48]
    for pitch, padding, stride in itertools.product(pitches, (0, 1, 2), (1, 2, 3)):
        layer = random_layer(
            bench.random, SMALL, work=400, source_pitch=pitch, padding_x=padding, stride_x=stride,
            kernel_width=3, pool_height=1, pool_width=1, source_planes=1, images_log=0,
            source_height=2, source_width=7,
        )  # fmt: skip
        await bench.check(layer, 0)


@shows("platform.walker")
@cocotb.test()
async def far_outside(dut):
    """Run windows that lie far from the source, at the ends of the fields' ranges."""
    bench = WalkerBench(dut)
    await bench.start()
    far = {"padding_y": 255, "padding_x": 255, "stride_y": 63, "stride_x": 63, "dilation_y": 255,
           "dilation_x": 255}  # fmt: skip
    small = {"source_planes": 1, "outputs": 1, "images_log": 0, "target_planes": 1, "skip": 0}
    for pitch in (1, 8, 16, 48):
        for _ in range(3):
            fixed = {name: value for name, value in far.items() if bench.random.random() < 0.5}
            layer = random_layer(
                bench.random, SMALL, work=4000, source_pitch=pitch, kernel_height=2,
                kernel_width=2, height=3, width=3, source_height=7, source_width=7,
                pool_padding_y=1, pool_padding_x=1, **small, **fixed,
            )  # fmt: skip
            await bench.check(layer, 0)


@shows("platform.walker")
@cocotb.test()
async def vast_layers(dut):
    """Begin layers whose fields stand anywhere in their ranges, and give up after some planes."""
    bench = WalkerBench(dut)
    await bench.start()
    for _ in range(80):
        await bench.check(vast_layer(bench.random, SMALL), bench.random.getrandbits(15), limit=150)
        await bench.reset()


@shows("platform.walker")
@cocotb.test()
@cocotb.parametrize(most=[5, 30])
async def short_jobs(dut, most):
    """Run jobs of one plane: bits of banks and halves fall only when later jobs have begun."""
    bench = WalkerBench(dut, most=most)
    await bench.start()
    for weight_bits in (4, 8, 16):
        layer = random_layer(
            bench.random, SMALL, source_planes=1, kernel_height=1, kernel_width=1, height=1,
            width=1, source_pitch=16, outputs=30, weight_bits=weight_bits, images_log=0,
            pool_height=1, pool_width=1, pool_padding_y=0, pool_padding_x=0,
        )  # fmt: skip
        await bench.check(layer, 0)


@shows("platform.walker")
@cocotb.test()
async def throughput(dut):
    """A plane is fetched in every cycle, across vectors, row blocks, jobs and groups."""
    bench = WalkerBench(dut)
    await bench.start()
    layer = random_layer(
        bench.random, SMALL, source_planes=2, kernel_height=3, kernel_width=1, source_pitch=16,
        outputs=17, weight_bits=2, source_height=5, source_width=5, padding_y=1, padding_x=0,
        stride_y=1, stride_x=1, dilation_y=1, images_log=0, pool_height=1, pool_width=1,
        height=5, width=5, pool_padding_y=0, pool_padding_x=0, pool_stride_y=1, pool_stride_x=1,
    )  # fmt: skip
    assert await bench.check(layer, 0) == 2 + 3 * 3 * 25 * 2


@shows("platform.walker")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while a layer runs: the next one is right."""
    bench = WalkerBench(dut)
    await bench.start()
    for planes in range(0, 60, 4):
        await bench.check(random_layer(bench.random, SMALL), 0, limit=planes)
        await bench.reset()
        await bench.check(random_layer(bench.random, SMALL, work=100), 0)
