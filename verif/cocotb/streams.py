"""Drivers and monitors of streams, with patterns of idle cycles and back-pressure.

Inputs change just after a rising edge. Outputs are read in the middle of a cycle, when they have
settled. Every coroutine in this module starts and ends in the middle of a cycle.
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
"""Clock period, in nanoseconds."""

Pattern = Callable[[bool], bool]
"""Function that decides whether to pause in a cycle. Its argument is true if the other side waited
in the previous cycle."""


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
"""Idle patterns of a source. None of them waits for the other side, since valid must not wait for
ready."""

BACK_PRESSURES: dict[str, Callable[[Random], Pattern]] = {
    **IDLES,
    "lazy": lambda generator: lambda waiting: not waiting,
}
"""Stall patterns of a sink. ``lazy`` is ready only after valid, and so detects a source whose valid
waits for ready."""


def now() -> int:
    """Return the number of cycles since the start of the simulation."""
    return int(get_sim_time("ns")) // PERIOD


class _Stream:
    """Wires of a stream, with its own random generator.

    The random values depend on the seed of the test and the order in which streams are created, but
    not on other random values of the test.
    """

    def __init__(self, dut, name: str):
        self.name = name
        self.clock = dut.clk
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.payload = getattr(dut, f"{name}__payload")
        self.random = Random(random.getrandbits(64))


class StreamMonitor(_Stream):
    """Checks the stream rules: valid and payload must be stable until the beat is taken.

    Attributes
    ----------
    taken : list of (int, int)
        Cycle and payload of every beat taken.
    waits : list of int
        For every beat taken, the number of cycles in which it was valid but not taken.
    gaps : list of int
        For every beat taken, the number of cycles in which ready was high but valid was low.
    """

    def __init__(self, dut, name: str):
        super().__init__(dut, name)
        self.reset = dut.rst
        self.taken = []
        self.waits, self.gaps = [], []
        self.waited = self.missed = 0

    async def run(self):
        """Monitor the stream forever. Raises AssertionError if a rule is violated."""
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
        """Describe the state of the stream for a message."""
        wires = f"valid {self.valid.value}, ready {self.ready.value}"
        return f"{self.name} has moved {len(self.taken)} beats, {wires}"


class StreamSource(_Stream):
    """Sends beats. The payload is random while valid is low."""

    def __init__(self, dut, name: str, *, idle: str = "never"):
        super().__init__(dut, name)
        self.pause = IDLES[idle](self.random)
        self.stop()

    def stop(self):
        """Set valid low."""
        self.valid.value = 0
        self.payload.value = self.random.getrandbits(len(self.payload))

    async def send(self, beats: Iterable[int]):
        """Send integers, one per beat."""
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
    """Takes beats and stores them."""

    def __init__(self, dut, name: str, *, stall: str = "never"):
        super().__init__(dut, name)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.stop()

    def stop(self):
        """Set ready low, and discard the beats taken."""
        self.ready.value = 0
        self.beats = []

    async def run(self):
        """Take beats forever."""
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
        """Wait for ``count`` beats and return them. If none arrives, the watchdog ends the test."""
        while len(self.beats) < count:
            await FallingEdge(self.clock)
        beats, self.beats = self.beats[:count], self.beats[count:]
        return beats
