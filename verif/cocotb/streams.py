"""Drivers and monitors of streams, with idle and back-pressure of any pattern.

Inputs change just after a rising edge, and everything is read in the middle of a cycle, when it has
settled: each coroutine here begins and ends there.
"""

import random
from collections.abc import Callable, Iterable
from random import Random

from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.utils import get_sim_time

__all__ = [
    "BACK_PRESSURES",
    "IDLES",
    "PERIOD",
    "Pattern",
    "StreamMonitor",
    "StreamSink",
    "StreamSource",
    "now",
]

PERIOD = 2
"""Of the clock, in nanoseconds."""

Pattern = Callable[[bool], bool]
"""Whether to pause in a cycle, given whether the other side waited in the one before."""


def _bursts(generator: Random) -> Pattern:
    pausing, left = True, 0

    def pause(waiting: bool) -> bool:
        nonlocal pausing, left
        if not left:
            pausing, left = not pausing, generator.randint(1, 8)
        left -= 1
        return pausing

    return pause


IDLES: dict[str, Callable[[Random], Pattern]] = {
    "never": lambda generator: lambda waiting: False,
    "often": lambda generator: lambda waiting: generator.random() < 0.5,
    "bursts": _bursts,
}
"""Patterns in which a source has nothing to send. One that waits for the other side is not among
them: valid may not wait for ready."""

BACK_PRESSURES: dict[str, Callable[[Random], Pattern]] = {
    **IDLES,
    "lazy": lambda generator: lambda waiting: not waiting,
}
"""Patterns in which a sink is not ready. The last one finds a valid that waits for ready."""


def now() -> int:
    """Cycles since the start of the simulation."""
    return int(get_sim_time("ns")) // PERIOD


class _Stream:
    """The wires of a stream, and a generator of its own: what it draws follows from the test's
    seed and from the order in which streams are made, not from what else the test draws.
    """

    def __init__(self, dut, name: str):
        self.name = name
        self.clock = dut.clk
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")
        self.random = Random(random.getrandbits(64))


class StreamMonitor(_Stream):
    """Holds a stream to the rules: once valid, it stays so and keeps its payload until taken.

    Attributes
    ----------
    taken : list of (int, int)
        Cycle and payload of every beat taken.
    waits : list of int
        Of every beat taken, the cycles in which it was valid and not taken.
    gaps : list of int
        Of every beat taken, the cycles in which it was asked for and not there.
    """

    def __init__(self, dut, name: str):
        super().__init__(dut, name)
        self.reset = dut.rst
        self.taken = []
        self.waits, self.gaps = [], []
        self.waited = self.missed = 0

    async def run(self):
        """Watch for ever; raises AssertionError where a rule is broken."""
        waiting = None
        while True:
            await FallingEdge(self.clock)
            if int(self.reset.value):
                waiting = None
                self.waited = self.missed = 0
                continue
            valid, ready = int(self.valid.value), int(self.ready.value)
            payload = int(self.payload.value) if valid else None
            if waiting is not None:
                assert valid, f"{self.name}: valid fell before the beat was taken"
                assert payload == waiting, f"{self.name}: the payload changed before it was taken"
            waiting = payload if valid and not ready else None
            self.waited += valid and not ready
            self.missed += ready and not valid
            if valid and ready:
                self.taken.append((now(), payload))
                self.waits.append(self.waited)
                self.gaps.append(self.missed)
                self.waited = self.missed = 0

    def state(self) -> str:
        """What stands on the stream now, for a message."""
        wires = f"valid {self.valid.value}, ready {self.ready.value}"
        return f"{self.name} has moved {len(self.taken)} beats, {wires}"


class StreamSource(_Stream):
    """Sends beats. While it has none the payload is noise."""

    def __init__(self, dut, name: str, *, idle: str = "never"):
        super().__init__(dut, name)
        self.pause = IDLES[idle](self.random)
        self.stop()

    def stop(self):
        """Offer nothing."""
        self.valid.value = 0
        self.payload.value = self.random.getrandbits(len(self.payload))

    async def send(self, beats: Iterable[int]):
        """Send integers, one a beat."""
        for beat in beats:
            while self.pause(bool(int(self.ready.value))):
                await self._cycle(self.stop)
            await self._cycle(self._offer, beat)
            while not int(self.ready.value):
                await FallingEdge(self.clock)
        await self._cycle(self.stop)

    def _offer(self, beat: int):
        self.valid.value = 1
        self.payload.value = beat

    async def _cycle(self, drive, *values):
        await RisingEdge(self.clock)
        drive(*values)
        await FallingEdge(self.clock)


class StreamSink(_Stream):
    """Takes beats and keeps them."""

    def __init__(self, dut, name: str, *, stall: str = "never"):
        super().__init__(dut, name)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.stop()

    def stop(self):
        """Take nothing, and forget what was taken."""
        self.ready.value = 0
        self.beats = []

    async def run(self):
        """Take beats for ever."""
        waiting = False
        while True:
            await RisingEdge(self.clock)
            ready = not self.pause(waiting)
            self.ready.value = int(ready)
            await FallingEdge(self.clock)
            waiting = bool(int(self.valid.value))
            if ready and waiting:
                self.beats.append(int(self.payload.value))
                waiting = False

    async def take(self, count: int) -> list[int]:
        """The next ``count`` beats. Where none comes, the bench's watchdog ends the test."""
        while len(self.beats) < count:
            await FallingEdge(self.clock)
        beats, self.beats = self.beats[:count], self.beats[count:]
        return beats
