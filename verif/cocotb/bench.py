"""Base class of all benches, with clock, reset, monitors and conversion of port values."""

import json
import os
import random
from typing import ClassVar

import cocotb
import numpy as np
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from adq.rtl.parameters import TileParameters
from adq.verif.cocotb.streams import PERIOD, StreamMonitor, StreamSink, StreamSource

__all__ = [
    *("TILE", "Bench", "fields", "from_bits", "from_slice", "left_out"),
    *("pack", "to_bits", "to_slice"),
]

TILE = TileParameters(**json.loads(os.environ["ADQ_TILE"]))
"""Parameters of the tile under test."""


def left_out(test: object) -> None:
    """Drop a test that does not apply to this tile; used instead of ``cocotb.test``.

    Marking the test as skipped does not work, because cocotb runs skipped tests that a filter
    selects.
    """


class Bench:
    """Bench of a block or, if ``block`` is empty, of the whole design.

    All random values of a test are determined by the seed of the run and the name of the test.
    """

    block: ClassVar[str] = ""
    """Prefix of the block's ports."""
    streams: ClassVar[tuple[str, ...]] = ()
    """Names of the block's streams. Each is monitored in every test."""
    quiet: ClassVar[dict[str, int]] = {}
    """Input values of an idle cycle."""
    patience: ClassVar[int] = 50_000
    """Number of cycles without a beat on any stream after which the watchdog fails the test."""

    def __init__(self, dut):
        self.dut = dut
        self.prefix = f"{self.block}__" if self.block else ""
        self.random = random.Random(random.getrandbits(64))
        self.rng = np.random.default_rng(random.getrandbits(64))
        self.monitors = {name: StreamMonitor(dut, self.prefix + name) for name in self.streams}
        self.sources: dict[str, StreamSource] = {}
        self.sinks: dict[str, StreamSink] = {}
        self.tasks = []

    def source(self, name: str, idle: str):
        """Drive a stream of the block, with an idle pattern of ``IDLES``."""
        self.sources[name] = StreamSource(self.dut, self.prefix + name, idle=idle)

    def sink(self, name: str, stall: str):
        """Take the beats of a stream, with a stall pattern of ``BACK_PRESSURES``."""
        self.sinks[name] = StreamSink(self.dut, self.prefix + name, stall=stall)

    def port(self, name: str):
        """Return the handle of a port."""
        return getattr(self.dut, self.prefix + name)

    def drive(self, **values: int):
        """Set inputs. Must be called just after a rising edge."""
        for name, value in values.items():
            self.port(name).value = value

    def read(self, name: str) -> int:
        """Return the value of a port as an unsigned number."""
        return int(self.port(name).value)

    def noise(self, name: str) -> int:
        """Return a random value for an input that must be ignored."""
        return self.random.getrandbits(len(self.port(name)))

    async def cycle(self, **inputs: int):
        """Start the next cycle with these inputs, and wait for its middle, when signals settled."""
        await RisingEdge(self.dut.clk)
        self.drive(**inputs)
        await FallingEdge(self.dut.clk)

    async def cycles(self, count: int):
        """Wait for ``count`` cycles."""
        for _ in range(count):
            await self.cycle()

    def start_soon(self, coroutine):
        """Run a coroutine until it ends or the bench is reset."""
        self.tasks.append(cocotb.start_soon(coroutine))
        return self.tasks[-1]

    async def start(self):
        """Start clock and monitors, and reset the design."""
        cocotb.start_soon(Clock(self.dut.clk, PERIOD, unit="ns").start())
        for monitor in self.monitors.values():
            cocotb.start_soon(monitor.run())
        if self.monitors:
            cocotb.start_soon(self.watch())
        await self.reset()

    async def watch(self):
        """Raise AssertionError with the state of every stream when no stream moves (watchdog)."""
        before = None
        while True:
            beats = [len(monitor.taken) for monitor in self.monitors.values()]
            if beats == before:
                states = "; ".join(monitor.state() for monitor in self.monitors.values())
                raise AssertionError(f"hangs: no beat in {self.patience:,} cycles: {states}")
            before = beats
            await Timer(self.patience * PERIOD, "ns")

    async def reset(self):
        """Reset for two cycles. Beats that are being sent or taken are dropped."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        await RisingEdge(self.dut.clk)
        self.dut.rst.value = 1
        for stream in (*self.sources.values(), *self.sinks.values()):
            stream.stop()
        await self.cycle(**self.quiet)
        await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0
        await FallingEdge(self.dut.clk)
        for sink in self.sinks.values():
            self.start_soon(sink.run())


def to_bits(bits: np.ndarray) -> int:
    """Pack an array of bits of any shape into a port value, first bit lowest."""
    return int.from_bytes(np.packbits(bits.astype(bool).ravel(), bitorder="little"), "little")


def from_bits(value: int, shape: tuple[int, ...]) -> np.ndarray:
    """Unpack a port value into an int64 array of bits."""
    count = int(np.prod(shape))
    octets = np.frombuffer(value.to_bytes(-(-count // 8), "little"), np.uint8)
    return np.unpackbits(octets, count=count, bitorder="little").reshape(shape).astype(np.int64)


def to_slice(numbers: np.ndarray, words: int) -> int:
    """Pack one integer per lane into a bit slice: word ``j`` holds bit ``j`` of every lane."""
    return to_bits((numbers >> np.arange(words)[:, None]) & 1)


def from_slice(value: int, words: int, lanes: int, *, signed: bool) -> np.ndarray:
    """Unpack a bit slice into one integer per lane."""
    weights = 1 << np.arange(words, dtype=np.int64)
    if signed:
        weights[-1] *= -1
    return weights @ from_bits(value, (words, lanes))


def fields(layout, value: int) -> dict[str, int]:
    """Unpack a port value into the members of a structure."""
    return {
        name: (value >> field.offset) & (2**field.width - 1)
        for name, field in data.Layout.cast(layout)
    }


def pack(layout, values: dict[str, int]) -> int:
    """Pack the members of a structure into a port value."""
    return sum(
        (values[name] & (2**field.width - 1)) << field.offset
        for name, field in data.Layout.cast(layout)
    )
