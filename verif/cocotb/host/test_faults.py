"""Tests of the platform with its bus: broken programs, a bus that fails, resets."""

import dataclasses

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from adq.golden.platform.checks import UNIT
from adq.golden.platform.interpreter import Interpreter
from adq.rtl.platform.descriptors import DescriptorError, End, Load, Loop, Mode, Store
from adq.rtl.platform.host.register_table import ErrorCode
from adq.verif.cocotb.host.bench import PLATFORM, HostBench, RandomProgram, random_program
from adq.verif.cocotb.random_layers import any_mode, random_layer
from adq.verif.simulation.drivers.axi_host import OUTPUTS
from adq.verif.simulation.drivers.platform_driver import ABORT, ADDRESSES, BUSY, START
from adq.verif.simulation.testpoints import shows


async def begun(dut) -> HostBench:
    """Return a bench whose platform was reset."""
    bench = HostBench(dut)
    await bench.begin()
    return bench


async def runs_right(bench: HostBench):
    """Run a program behind whatever came before."""
    bench.memory.refused = {}
    await bench.run(random_program(bench, layers=1, work=60))


def small_program(bench: HostBench, **fixed: int) -> RandomProgram:
    """Return a program of one layer."""
    layer = random_layer(bench.random, PLATFORM, work=60, **fixed)
    return RandomProgram(bench.rng, [layer], (2,))


async def stops(
    bench: HostBench, memory: bytes, program: RandomProgram, *, size: int | None = None
):
    """Start a program, wait for its end and return its error."""
    await bench.start(memory[:size], program.inputs, program.output_bytes)
    error = await bench.result()
    assert error is not None, "a broken program ran to its end"
    return error


def packed(program: RandomProgram, index: int, data: bytes) -> bytes:
    """Return a program's memory with another descriptor at a place."""
    memory = bytearray(program.memory)
    memory[64 * index : 64 * index + 64] = data
    return bytes(memory)


def broken_values(field: dataclasses.Field) -> list[int]:
    """Return values outside of a field's range that its bits can hold."""
    least, most, bits = (field.metadata[name] for name in ("least", "most", "bits"))
    return ([least - 1] if least else []) + ([most + 1] if most + 1 < 1 << bits else [])


@shows("platform.faults")
@cocotb.test()
async def every_field_out_of_its_range(dut):
    """Put every field out of its range by itself, and bits where no field is."""
    bench = await begun(dut)
    program = small_program(bench)
    cases = 0
    for index, descriptor in enumerate(program.descriptors):
        kind = type(descriptor)
        used = 0xF
        for field in dataclasses.fields(kind):
            used |= ((1 << field.metadata["bits"]) - 1) << field.metadata["at"]
            for value in broken_values(field):
                changed = dataclasses.replace(descriptor, **{field.name: value})
                error = await stops(bench, packed(program, index, changed.pack()), program)
                found = (error.code, error.descriptor, error.field)
                assert found == (ErrorCode.DESCRIPTOR, index, field.name), (error, value)
                cases += 1
        unused = [bit for bit in range(512) if not used >> bit & 1]
        for bit in bench.random.sample(unused, min(len(unused), 4)):
            word = int.from_bytes(descriptor.pack(), "little") | 1 << bit
            error = await stops(bench, packed(program, index, word.to_bytes(64, "little")), program)
            assert (error.descriptor, error.field) == (index, "reserved"), error
        for operation in (0, 6, 15):
            word = int.from_bytes(descriptor.pack(), "little") & ~0xF | operation
            error = await stops(bench, packed(program, index, word.to_bytes(64, "little")), program)
            assert (error.descriptor, error.field) == (index, "operation"), error
    assert cases > 30
    await runs_right(bench)


CONDITIONS = [
    (Mode.REQUANTIZE, {"weight_bits": 3}),
    (Mode.REQUANTIZE, {"stacked": 1, "split": PLATFORM.clusters + (PLATFORM.stack > 1)}),
    (Mode.RAW, {"skip": 1}),
    (Mode.TABLE, {"skip": 1}),
    (Mode.THRESHOLDS, {"skip": 1}),
    (Mode.THRESHOLDS, {"target_planes": 3}),
    (Mode.THRESHOLDS, {"accumulator_bits": 31}),
    (Mode.TABLE, {"source_planes": 9}),
    (Mode.REQUANTIZE, {"accumulator_bits": 49}),
    (Mode.REQUANTIZE, {"images_log": 5}),
    (Mode.REQUANTIZE, {"images_log": 1, "target_slots_log": 0, "source_slots_log": 3}),
    (Mode.REQUANTIZE, {"source_pitch": 3}),
    (Mode.REQUANTIZE, {"source_pitch": 24}),
    (Mode.REQUANTIZE, {"source_words": 5}),
    (Mode.REQUANTIZE, {"pool_height": 63}),
    (Mode.REQUANTIZE, {"pool_width": 63}),
    (Mode.REQUANTIZE, {"height": 60, "width": 60, "pool_height": 5, "pool_width": 5}),
    (Mode.REQUANTIZE, {"stacked": 0, "split": PLATFORM.units + 1}),
    (Mode.REQUANTIZE, {"stacked": 0, "split": 255}),
    (Mode.REQUANTIZE, {"target_channel": 60000}),
    (Mode.REQUANTIZE, {"outputs": 60000}),
    (Mode.REQUANTIZE, {"target_pitch": 40}),
    (Mode.RAW, {"pool_padding_y": 1}),
    (Mode.RAW, {"pool_padding_x": 1}),
    (Mode.RAW, {"pool_height": 1, "pool_width": 2, "width": 9, "pool_stride_x": 1}),
    (Mode.REQUANTIZE, {"skip": 1, "skip_pitch": 48, "skip_channel": 50}),
    (Mode.REQUANTIZE, {"weights": 2**31}),
    (Mode.REQUANTIZE, {"weights": 2**32 - 1}),
    (Mode.REQUANTIZE, {"parameters": 2**32 - 1}),
    (Mode.TABLE, {"parameters": 2**32 - 1}),
    (Mode.RAW, {"target": 2**32 - 1}),
]
"""Fields that do not suit the others, the platform or its memories."""


@shows("platform.faults")
@cocotb.test()
async def fields_that_do_not_suit(dut):
    """Break every condition between fields; the interpreter blames the same one."""
    bench = await begun(dut)
    outside = {ErrorCode.DESCRIPTOR: 0, ErrorCode.OUTSIDE: 0}
    for mode, fields in CONDITIONS:
        program = small_program(bench, skip=0, **any_mode(bench.random, mode))
        changed = dataclasses.replace(program.descriptors[1], **fields)
        await blamed_alike(bench, program, 1, changed, outside)
    program = small_program(bench)
    for index, kind in ((0, Load), (2, Store)):
        for fields in (
            {"images_log": 1}, {"words": 2**32 - 1}, {"address": 1}, {"slots_log": 15},
            {"memory": 2**32 - 1}, {"memory": 10**6}, {"memory": 1 << 20},
        ):  # fmt: skip
            changed = dataclasses.replace(program.descriptors[index], **fields)
            assert isinstance(changed, kind)
            await blamed_alike(bench, program, index, changed, outside)
    assert min(outside.values()) > 5
    await runs_right(bench)


async def blamed_alike(bench, program, index, changed, outside):
    """Run a program with another descriptor: hardware and interpreter blame the same field."""
    memory = packed(program, index, changed.pack())
    with pytest.raises(DescriptorError) as raised:
        Interpreter(PLATFORM, memory, program.inputs, program.output_bytes)
    expected = raised.value
    error = await stops(bench, memory, program)
    found = error.descriptor, error.field
    assert found == (expected.index, expected.field), (error, expected, changed)
    outside[error.code] += 1


@shows("platform.faults")
@cocotb.test()
async def programs_cut_short(dut):
    """Cut a program short anywhere, leave out its End, and give it too many loops."""
    bench = await begun(dut)
    program = small_program(bench)
    count = len(program.descriptors)
    for size in (0, 16, 48, 64, 64 * count - 16):
        error = await stops(bench, program.memory, program, size=size)
        assert (error.code, error.field) == (ErrorCode.OUTSIDE, "operation"), error
        assert error.descriptor == size // 64
    loops = Loop(count=1, images_log=0).pack() * 5 + End().pack()
    await bench.start(loops, program.inputs, program.output_bytes)
    error = await bench.result()
    assert (error.code, error.descriptor, error.field) == (ErrorCode.DESCRIPTOR, 4, "operation")
    await bench.start(End().pack(), b"", 0)
    assert await bench.result() is None, "an empty program ends at once"
    await runs_right(bench)


@shows("platform.faults", "platform.bus")
@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.5])
async def errors_of_the_bus(dut, share):
    """Answer any read and any write with an error."""
    bench = await begun(dut)
    program = small_program(bench, mode=Mode.RAW)
    await bench.run(program)
    beats = dict(bench.memory.seen)
    if share:
        bench.memory.wait_at_random(bench.random, share)
    for kind, slave, decode in (
        ("read", ErrorCode.READ_SLAVE, ErrorCode.READ_DECODE),
        ("write", ErrorCode.WRITE_SLAVE, ErrorCode.WRITE_DECODE),
    ):
        for _ in range(10):
            response, code = bench.random.choice(
                ((AxiResp.SLVERR, slave), (AxiResp.DECERR, decode))
            )
            bench.memory.refused = {(kind, bench.random.randrange(beats[kind])): response}
            error = await stops(bench, program.memory, program)
            assert error.code == code, error
    bench.memory.refused = {}
    await bench.run(program)


@shows("platform.faults")
@cocotb.test()
async def a_bus_that_stops(dut):
    """Stop the bus at any moment: the host hears of it, and once the bus moves all is well."""
    bench = await begun(dut)
    program = small_program(bench, mode=Mode.RAW)
    await bench.run(program)
    cycles = (await bench.driver.counters()).total
    for _ in range(8):
        await bench.start(program.memory, program.inputs, program.output_bytes, timeout=200)
        await ClockCycles(dut.clk, bench.random.randrange(cycles - 60))
        bench.memory.freeze(True)
        error = await bench.result()
        if error is not None:
            assert error.code == ErrorCode.TIMEOUT, error
            assert await bench.driver.bus.read(ADDRESSES["status"]) & BUSY
        bench.memory.freeze(False)
        for _ in range(100):
            if not await bench.driver.bus.read(ADDRESSES["status"]) & BUSY:
                break
        await bench.run(program)


@shows("platform.faults")
@cocotb.test()
async def resets_aborts_and_starts_at_any_moment(dut):
    """Reset, abort or start while a program runs; a start is ignored."""
    bench = await begun(dut)
    program = small_program(bench, mode=Mode.RAW)
    await bench.run(program)
    cycles = (await bench.driver.counters()).total
    for case in range(18):
        await bench.start(program.memory, program.inputs, program.output_bytes)
        await ClockCycles(dut.clk, bench.random.randrange(cycles - 60))
        if case % 3 == 0:
            await bench.reset()
            assert not int(dut.irq.value)
            assert await bench.driver.error() is None
        elif case % 3 == 1:
            await bench.driver.bus.write(ADDRESSES["control"], ABORT)
            error = await bench.result()
            assert error is None or error.code == ErrorCode.ABORTED
        else:
            other = random_program(bench, layers=1, work=60)
            await bench.driver.bus.write(ADDRESSES["program_size"], len(other.memory) // UNIT)
            await bench.driver.bus.write(ADDRESSES["control"], START)
            assert await bench.result() is None
            await bench.compare(program)
            assert not await bench.driver.bus.read(ADDRESSES["status"]) & BUSY
        await bench.run(program)


@shows("platform.faults")
@cocotb.test()
async def random_bits(dut):
    """Whatever stands in a program's memory, it ends, and nothing outside of memories changes."""
    bench = await begun(dut)
    for _ in range(12):
        program = small_program(bench)
        memory = bytearray(program.memory)
        for _ in range(bench.random.randint(1, 3)):
            bit = bench.random.randrange(64 * 8 * len(program.descriptors))
            memory[bit // 8] ^= 1 << bit % 8
        await bench.start(bytes(memory), program.inputs, program.output_bytes)
        await ClockCycles(dut.clk, bench.random.randrange(3000))
        await bench.driver.abort()
        await ClockCycles(dut.clk, 2000)
        assert not await bench.driver.bus.read(ADDRESSES["status"]) & BUSY
        after = bench.memory.read(OUTPUTS + -(-program.output_bytes // UNIT) * UNIT, 4096)
        assert not np.frombuffer(bytes(after), np.uint8).any()
    await runs_right(bench)
