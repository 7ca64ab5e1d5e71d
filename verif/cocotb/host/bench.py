"""Bench of the platform with its bus: random programs, a memory that waits and fails."""

import itertools
import json
import os
import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge
from cocotbext.axi import AxiRam, AxiResp

from adq.golden.platform.checks import UNIT, weight_shape
from adq.golden.platform.interpreter import Interpreter
from adq.rtl.platform.bus.axi import BURST_INCREMENTING
from adq.rtl.platform.descriptors import End, Layer, Load, Loop, Mode, Store
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.random_layers import any_mode, random_layer
from adq.verif.cocotb.random_records import random_records
from adq.verif.simulation.drivers.axi_host import AxiHost

__all__ = ["PATIENCE", "PLATFORM", "HostBench", "RandomProgram", "SlowMemory", "random_program"]

PLATFORM = PlatformParameters(**json.loads(os.environ["ADQ_PLATFORM"]))
"""Parameters of the platform under test."""

PATIENCE = 300_000
"""Cycles after which a program that has not ended hangs."""


class SlowMemory(AxiRam):
    """A memory that can wait on each channel, answer some accesses with errors, and count beats.

    Attributes
    ----------
    refused : dict
        Answers, by the place of a beat that is read (``read``) or of a burst that is written
        (``write``), counted from the last :meth:`count`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.refused: dict[tuple[str, int], AxiResp] = {}
        self.seen = {"read": 0, "write": 0}
        reads, writes = self.read_if.r_channel, self.write_if.b_channel
        reads.send = self._answering("read", "rresp", reads.send)
        writes.send = self._answering("write", "bresp", writes.send)

    def _answering(self, kind, field, send):
        async def answer(item):
            response = self.refused.get((kind, self.seen[kind]))
            self.seen[kind] += 1
            if response is not None:
                setattr(item, field, response)
            await send(item)

        return answer

    def count(self):
        """Count accesses from here on."""
        self.seen = dict.fromkeys(self.seen, 0)

    @property
    def channels(self):
        """All channels."""
        return (
            self.read_if.ar_channel, self.read_if.r_channel, self.write_if.aw_channel,
            self.write_if.w_channel, self.write_if.b_channel,
        )  # fmt: skip

    def wait_at_random(self, generator: random.Random, share: float):
        """Let every channel pause in a share of its cycles, in bursts of up to 12."""
        for channel in self.channels:
            channel.set_pause_generator(_pauses(random.Random(generator.getrandbits(64)), share))

    def freeze(self, frozen: bool):
        """Let no channel move, or all."""
        for channel in self.channels:
            channel.clear_pause_generator()
            channel.pause = frozen


def _pauses(generator: random.Random, share: float):
    while True:
        pausing = generator.random() < share
        yield from itertools.repeat(pausing, generator.randint(1, 12))


class HostBench(AxiHost):
    """Runs programs, and compares the output memory with the interpreter's."""

    def __init__(self, dut):
        super().__init__(dut, SlowMemory)
        self.platform = PLATFORM
        self.random = random.Random(random.getrandbits(64))
        self.rng = np.random.default_rng(random.getrandbits(64))

    async def begin(self):
        """Start the clock, reset the platform, and watch its bursts."""
        await super().begin()
        for channel in ("ar", "aw"):
            cocotb.start_soon(self.watch_bursts(channel))

    async def watch_bursts(self, channel: str):
        """Hold every burst against the rules of AXI4: its length, and boundaries of 4 KiB."""

        def port(name: str) -> int:
            return int(getattr(self.dut, f"m_axi_{channel}{name}").value)

        while True:
            await FallingEdge(self.dut.clk)
            if port("valid") and port("ready"):
                beat = 1 << port("size")
                assert beat == PLATFORM.bus_bits // 8
                assert port("burst") == BURST_INCREMENTING
                first = port("addr")
                last = first // beat * beat + beat * (port("len") + 1) - 1
                assert first >> 12 == last >> 12, f"a burst of {channel} crosses 4 KiB: {first:#x}"

    async def result(self):
        """Wait for the end of a program, and return its error or nothing."""
        waiting = self.driver.wait()
        ended = First(RisingEdge(self.dut.irq), ClockCycles(self.dut.clk, PATIENCE))
        if not int(self.dut.irq.value):
            await ended
        assert int(self.dut.irq.value), "hangs: no interrupt"
        return await waiting

    async def run(self, program: "RandomProgram"):
        """Run a program, and compare everything that it wrote."""
        await self.start(program.memory, program.inputs, program.output_bytes)
        error = await self.result()
        assert error is None, error
        await self.compare(program)

    async def compare(self, program: "RandomProgram"):
        """Compare what the last run wrote, and its counters."""
        expected = program.expected()
        found = np.frombuffer(self.outputs(program.output_bytes), np.uint8)
        differing = np.flatnonzero(found != expected)
        assert not len(differing), (len(differing), differing[:8], program.descriptors)
        counters = await self.driver.counters()
        assert sum(counters.classes.values()) == counters.total
        assert counters.classes["stopping"] == 0
        assert counters.read_beats == self.memory.seen["read"]

    async def start(self, *args, **kwargs):
        """Start a program; accesses are counted from here on."""
        self.memory.count()
        await super().start(*args, **kwargs)


class RandomProgram:
    """Random layers, each on a plane memory of random words, whose words are stored behind it.

    Parameters
    ----------
    layers
        Layers, whose memory places are drawn here.
    loops
        Passes of each loop, the innermost first, of one image each.

    """

    def __init__(self, rng: np.random.Generator, layers: list[Layer], loops: tuple[int, ...] = ()):
        words = PLATFORM.plane_memory_words
        size = -(-words * PLATFORM.rows // 8 // UNIT) * UNIT
        passes = int(np.prod(loops)) if loops else 1
        count = 3 * len(layers) + len(loops) + 1
        # Weights and parameters begin at a random place, so that bursts meet boundaries of 4 KiB.
        self.blob = bytearray(UNIT * int(rng.integers(0, 256)))
        self.base = 64 * count
        self.descriptors: list = []
        self.output_bytes = 0
        images = passes
        for place, layer in enumerate(layers):
            images = max(images, passes - 1 + layer.images)
            self.descriptors += [
                Load(images_log=0, slots_log=0, when=0, words=words, address=0,
                     memory=place * passes * size // UNIT),
                self._placed(rng, layer, passes),
                Store(images_log=0, slots_log=0, words=words, address=0,
                      memory=self._output(passes * size)),
            ]  # fmt: skip
        stride = 1
        for passes_of_loop in loops:
            self.descriptors.append(Loop(count=passes_of_loop, images_log=stride.bit_length() - 1))
            stride *= passes_of_loop
        self.descriptors.append(End())
        self.inputs = rng.bytes(size * passes * len(layers))

    @property
    def memory(self) -> bytes:
        """The program's memory."""
        return b"".join(each.pack() for each in self.descriptors) + bytes(self.blob)

    def expected(self) -> np.ndarray:
        """Return the output memory by the interpreter."""
        interpreter = Interpreter(PLATFORM, self.memory, self.inputs, self.output_bytes)
        for _ in interpreter.run():
            pass
        return interpreter.outputs

    def _output(self, size: int) -> int:
        first = self.output_bytes
        self.output_bytes += -(-size // UNIT) * UNIT
        return first // UNIT

    def _append(self, data: bytes) -> int:
        first = self.base + len(self.blob)
        self.blob.extend(data + bytes(-len(data) % UNIT))
        return first // UNIT

    def _placed(self, rng: np.random.Generator, layer: Layer, passes: int) -> Layer:
        places = {"target": layer.target}
        blocks = int(np.prod(weight_shape(layer, PLATFORM)))
        places["weights"] = self._append(rng.bytes(blocks * PLATFORM.block_bytes))
        places["parameters"] = self._append(random_records(rng, layer))
        if layer.mode == Mode.RAW:
            height, width = layer.pooled
            images = passes - 1 + layer.images
            places["target"] = self._output(8 * images * height * width * layer.target_pitch)
        return Layer(**vars(layer) | places)


def random_program(bench: HostBench, *, layers: int = 3, work: int = 300, loops=()):
    """Return a random program of some layers of any mode."""
    drawn = []
    for _ in range(layers):
        mode = bench.random.choice((Mode.REQUANTIZE, Mode.RAW, Mode.TABLE, Mode.THRESHOLDS))
        fixed = any_mode(bench.random, mode)
        drawn.append(random_layer(bench.random, PLATFORM, work=work, **fixed))
    return RandomProgram(bench.rng, drawn, loops)
