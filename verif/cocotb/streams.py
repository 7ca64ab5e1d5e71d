"""Drivers and monitors of streams, with idle and back-pressure of any pattern."""

import random

from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

__all__ = ["StreamMonitor", "StreamSink", "StreamSource"]


class _Stream:
    """The wires of a stream of the design."""

    def __init__(self, dut, name: str):
        self.name = name
        self.clock = dut.clk
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")


class StreamMonitor(_Stream):
    """Holds a stream to the rules: once valid, it stays so and keeps its payload until taken."""

    def __init__(self, dut, name: str):
        super().__init__(dut, name)
        self.reset = dut.rst

    async def run(self):
        """Watch for ever; raises AssertionError where a rule is broken."""
        waiting = None
        while True:
            await FallingEdge(self.clock)  # everything has settled in the middle of a cycle
            await ReadOnly()
            if self.reset.value:
                waiting = None
                continue
            valid, ready = int(self.valid.value), int(self.ready.value)
            payload = int(self.payload.value) if valid else None
            if waiting is not None:
                assert valid, f"{self.name}: valid fell before the beat was taken"
                assert payload == waiting, f"{self.name}: the payload changed before it was taken"
            waiting = payload if valid and not ready else None


class StreamSource(_Stream):
    """Sends beats; before each, idles with probability ``idle``."""

    def __init__(self, dut, name: str, *, seed: int, idle: float = 0.0):
        super().__init__(dut, name)
        self.random = random.Random(f"{name} {seed}")
        self.idle = idle
        self.valid.value = 0

    async def send(self, beats):
        """Send integers, one a beat. Call it just after a rising edge."""
        for beat in beats:
            while self.random.random() < self.idle:
                await RisingEdge(self.clock)
            self.payload.value = beat
            self.valid.value = 1
            while True:
                await FallingEdge(self.clock)
                taken = int(self.ready.value)
                await RisingEdge(self.clock)
                if taken:
                    break
            self.valid.value = 0


class StreamSink(_Stream):
    """Takes beats; is not ready with probability ``stall``."""

    def __init__(self, dut, name: str, *, seed: int, stall: float = 0.0):
        super().__init__(dut, name)
        self.random = random.Random(f"{name} {seed}")
        self.stall = stall
        self.ready.value = 0

    async def take(self, count: int, *, patience: int = 20_000) -> list[int]:
        """Take ``count`` beats; AssertionError if none comes for ``patience`` cycles."""
        beats = []
        quiet = 0
        while len(beats) < count:
            self.ready.value = int(self.random.random() >= self.stall)
            await FallingEdge(self.clock)
            if int(self.ready.value) and int(self.valid.value):
                beats.append(int(self.payload.value))
                quiet = 0
            quiet += 1
            assert quiet < patience, f"no beat in {patience} cycles, after {len(beats)} of {count}"
            await RisingEdge(self.clock)
        self.ready.value = 0
        return beats
