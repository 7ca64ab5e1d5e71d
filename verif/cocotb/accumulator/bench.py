"""Bench of the accumulator."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_slice, to_slice
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["PRECISIONS", "AccumulatorBench", "Vector"]

PRECISIONS = {widest: TILE.accumulator_weight_bits(widest) for widest in (2, 4, 16)}
"""Weight widths of each accumulator, by its widest weights."""


@dataclass
class Vector:
    """Sums of the planes of a vector, least significant first.

    Each sum is an array with one number per lane, or None if the plane has no bit set. If
    ``negative``, the last plane is subtracted.
    """

    weight_bits: int
    negative: bool
    sums: list[np.ndarray | None]


class AccumulatorBench(Bench):
    """Accumulates planes, and compares the totals and the accumulators after each."""

    quiet: ClassVar = {"step": 0}

    def __init__(self, dut, widest: int, *, stall: str = "never"):
        self.block = f"accumulator_{widest}"
        super().__init__(dut)
        self.precisions = PRECISIONS[widest]
        self.lanes = TILE.outputs(widest)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.clocked = 0
        """Number of words clocked by the last step."""
        self.held: list[int] | None = None
        """Expected numbers in these words."""
        self.before = 0
        """Value of all words in the previous cycle."""

    def noise_inputs(self) -> dict[str, int]:
        """Return random values for all inputs except ``step``."""
        names = [f"{kind}_{n}" for kind in ("sum", "select") for n in self.precisions]
        return {n: self.noise(n) for n in (*names, "zero", "first", "negative")}

    async def check(self, vectors: list[Vector]):
        """Accumulate vectors and compare, with pauses in which all other inputs are random.

        ``step`` is random for the last plane of a vector, because its result is never used.
        """
        for vector in vectors:
            vector_sums = [0] * self.lanes
            width = TILE.plane_width(vector.weight_bits)
            for index, sums in enumerate(vector.sums):
                while self.pause(True):
                    await self.cycle(**self.noise_inputs(), step=0)
                    self.compare_held()
                last = index == len(vector.sums) - 1
                negative = vector.negative and last
                inputs = self.noise_inputs() | {
                    "step": self.random.randrange(2) if last else 1,
                    "zero": int(sums is None),
                    "first": int(index == 0),
                    "negative": int(negative),
                }
                for n in self.precisions:
                    inputs[f"select_{n}"] = int(n == vector.weight_bits)
                if sums is not None:
                    name = f"sum_{vector.weight_bits}"
                    inputs[name] = to_slice(sums, TILE.plane_width(vector.weight_bits))
                await self.cycle(**inputs)
                self.compare_held()
                if sums is not None:
                    weight = -(2**index) if negative else 2**index
                    vector_sums = [
                        t + weight * int(s) for t, s in zip(vector_sums, sums, strict=True)
                    ]
                # Each previous plane has shifted out one bit.
                self.compare("totals", width + 1, [t >> index for t in vector_sums])
                if inputs["step"]:
                    self.clocked, self.held = width, [t >> (index + 1) for t in vector_sums]
        await self.cycle(**self.noise_inputs(), step=0)
        self.compare_held()

    def compare_held(self):
        """Compare the accumulators, and check that words that were not clocked are stable."""
        now = self.read("accumulators")
        if self.held is not None:
            self.compare("accumulators", self.clocked, self.held)
            clocked = self.clocked * self.lanes
            assert now >> clocked == self.before >> clocked, "words moved that are not used"
        self.before = now

    def compare(self, name: str, words: int, expected: list[int]):
        """Compare the lowest ``words`` words of an output as signed numbers."""
        value = self.read(name) & ((1 << (words * self.lanes)) - 1)
        found = from_slice(value, words, self.lanes, signed=True)
        assert list(found) == expected, f"{name}: {found} should be {expected}"
