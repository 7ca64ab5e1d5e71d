"""Bench of the bit-plane feeder."""

from dataclasses import dataclass
from typing import ClassVar

from adq.verif.cocotb.bench import TILE, Bench
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["FeederBench", "Plane", "planes_of"]


@dataclass(frozen=True)
class Plane:
    """Expected outputs of the feeder for a plane."""

    plane: int
    zero: int
    first: int
    last: int
    index: int
    skipped: int


def planes_of(words: list[int], bits: int) -> list[Plane]:
    """Return the planes of a vector, assembled bit by bit."""
    planes = [
        sum(((word >> index) & 1) << row for row, word in enumerate(words)) for index in range(bits)
    ]
    while planes[1:] and not planes[-1]:
        planes.pop()
    return [
        Plane(
            plane=plane,
            zero=int(plane == 0),
            first=int(index == 0),
            last=int(index == len(planes) - 1),
            index=index,
            skipped=bits - len(planes),
        )
        for index, plane in enumerate(planes)
    ]


class FeederBench(Bench):
    """Sends vectors, and compares the planes."""

    block = "feeder"
    streams = ("activations",)
    quiet: ClassVar = {"fetch": 0, "take": 0, "activation_bits": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.source("activations", idle)
        self.pause_take = BACK_PRESSURES[stall](self.random)
        self.pause_fetch = BACK_PRESSURES[stall](self.random)

    async def check(self, vectors: list[list[int]], bits: int, *, cycles: int | None = None) -> int:
        """Send vectors of a job with ``bits``-bit activations, and compare the planes.

        Each plane must be offered in the cycle after its vector is accepted or the previous plane
        is taken. If ``cycles`` is given, the check stops after that many cycles.

        Returns
        -------
        int
            Cycles from the first cycle that can accept a vector to that of the last plane.
        """
        high = TILE.max_activation_bits - bits  # unused high bits are random
        beats = [
            sum(
                (word & (2**bits - 1) | self.random.getrandbits(high) << bits)
                << (TILE.max_activation_bits * row)
                for row, word in enumerate(words)
            )
            for words in vectors
        ]
        await self.cycle(activation_bits=bits, take=0, fetch=0)
        self.start_soon(self.sources["activations"].send(beats))
        waiting = [planes_of(words, bits) for words in vectors]
        planes = []
        taken = 0
        while waiting or planes:
            if taken == cycles:
                return taken
            taken += 1
            take = bool(planes) and not self.pause_take(True)
            fetch = bool(waiting) and not self.pause_fetch(True)
            await self.cycle(take=int(take), fetch=int(fetch))
            assert self.read("loaded") == bool(planes)
            if planes:
                self.compare(planes[0])
            ready = fetch and (not planes or (take and len(planes) == 1))
            assert self.read("activations__ready") == ready
            if take:
                planes.pop(0)
            if ready and self.read("activations__valid"):
                planes = list(waiting.pop(0))
        await self.cycle(take=0, fetch=0)
        assert not self.read("loaded")
        return taken

    def compare(self, expected: Plane):
        """Compare the offered plane."""
        for name, value in vars(expected).items():
            assert self.read(name) == value, f"{name} should be {value}: {expected}"
