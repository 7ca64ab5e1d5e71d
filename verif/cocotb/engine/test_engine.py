"""Tests of the engine: random layers against the interpreter."""

import cocotb

from adq.golden.platform.planning.timeline import engine_cycles
from adq.rtl.platform.descriptors import Mode
from adq.verif.cocotb.engine.bench import PLATFORM, EngineBench, random_program
from adq.verif.cocotb.random_layers import any_mode, random_layer
from adq.verif.simulation.testpoints import shows

MODES = [Mode.REQUANTIZE, Mode.RAW, Mode.TABLE, Mode.THRESHOLDS]


async def run(bench: EngineBench, layers: list) -> None:
    """Run layers, and compare the whole plane memory behind each."""
    program = random_program(bench.rng, layers, PLATFORM.plane_memory_words)
    await bench.run(*program, whole=True)
    assert bench.integers


@shows("platform.engine")
@cocotb.test()
@cocotb.parametrize(mode=MODES, idle=["often", "bursts"])
async def any_layers(dut, mode, idle):
    """Run random layers one after another, with weights and records that come late."""
    stall = {"often": "lazy", "bursts": "bursts"}[idle]
    bench = EngineBench(dut, idle=idle, stall=stall)
    await bench.start()
    layers = [
        random_layer(bench.random, PLATFORM, work=400, **any_mode(bench.random, mode))
        for _ in range(4)
    ]
    await run(bench, layers)


@shows("platform.engine", "platform.cycles")
@cocotb.test()
@cocotb.parametrize(mode=MODES)
async def cycles(dut, mode):
    """A layer takes the cycles of its timeline, whatever it waits for.

    Where there are several tiles, it may take as many more as ports have waited for banks.
    """
    bench = EngineBench(dut)
    await bench.start()
    layers = [
        random_layer(bench.random, PLATFORM, work=600, skip=0, **any_mode(bench.random, mode))
        for _ in range(6)
    ]
    await run(bench, layers)
    for layer, (first, last), waits in zip(layers, bench.spans, bench.waits, strict=True):
        expected = engine_cycles(layer, PLATFORM)
        assert expected <= last - first <= expected + sum(waits.values()), (layer, waits)
        assert PLATFORM.tiles > 1 or not sum(waits.values())
