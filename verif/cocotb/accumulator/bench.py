"""Bench of the accumulator."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verif.cocotb.bench import TILE, Bench, from_slice, to_slice
from verif.cocotb.streams import BACK_PRESSURES

__all__ = ["PRECISIONS", "AccumulatorBench", "Vector"]

PRECISIONS = {2: TILE.weight_widths[:1], 16: TILE.weight_widths[1:]}
"""Of each accumulator, by its widest weights."""


@dataclass
class Vector:
    """Sums of the planes of a vector, most significant first, each an array of a number a lane, or
    None where the plane has no bit set.
    """

    weight_bits: int
    activation_bits: int
    signed: bool
    sums: list[np.ndarray | None]


class AccumulatorBench(Bench):
    """Adds planes; compares what a step would make, and the accumulators after each."""

    quiet: ClassVar = {"step": 0}

    def __init__(self, dut, widest: int, *, stall: str = "never"):
        self.block = f"accumulator_{widest}"
        super().__init__(dut)
        self.precisions = PRECISIONS[widest]
        self.lanes = TILE.outputs(widest)
        self.width = TILE.vector_width(widest)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.expected = None
        self.live = 0
        self.before = 0
        """What the accumulators held a cycle ago."""

    def noise_inputs(self) -> dict[str, int]:
        """Something on every input."""
        names = [f"{kind}_{n}" for kind in ("sum", "select") for n in self.precisions]
        return {n: self.noise(n) for n in (*names, "zero", "first", "negative", "live")}

    async def check(self, vectors: list[Vector]):
        """Accumulate vectors, with pauses in which every input moves."""
        for vector in vectors:
            total = [0] * self.lanes
            missing = vector.activation_bits - len(vector.sums)
            live = TILE.segments(TILE.vector_width(vector.weight_bits, vector.activation_bits))
            for plane, sums in enumerate(vector.sums):
                while self.pause(True):
                    await self.cycle(**self.noise_inputs(), step=0)
                    self.compare()
                negative = vector.signed and plane == 0 and not missing
                inputs = self.noise_inputs() | {
                    "step": 1,
                    "zero": int(sums is None),
                    "first": int(plane == 0),
                    "negative": int(negative),
                    "live": (1 << live) - 1,
                }
                for n in self.precisions:
                    inputs[f"select_{n}"] = int(n == vector.weight_bits)
                if sums is not None:
                    name = f"sum_{vector.weight_bits}"
                    inputs[name] = to_slice(sums, TILE.fused_width(vector.weight_bits))
                await self.cycle(**inputs)
                self.compare()
                weight = 2 ** (len(vector.sums) - 1 - plane) * (-1 if negative else 1)
                if sums is not None:
                    total = [t + weight * int(s) for t, s in zip(total, sums, strict=True)]
                # What was added weighs twice as much with every plane that is still to come.
                self.live = live
                self.expected = [t >> (len(vector.sums) - 1 - plane) for t in total]
                self.compare_live(self.read("totals"))
        await self.cycle(**self.noise_inputs(), step=0)
        self.compare()

    def compare(self):
        """Compare the accumulators: what was not clocked has not moved."""
        held = self.read("accumulators")
        if self.expected is not None:
            clocked = self.compare_live(held)
            assert held >> clocked == self.before >> clocked, "segments moved that are not live"
        self.before = held

    def compare_live(self, value: int) -> int:
        """Compare the segments that are live, which hold the sign too.

        Returns
        -------
        int
            Bits of them.
        """
        words = min(self.live * TILE.segment, self.width)
        bits = words * self.lanes
        found = from_slice(value & ((1 << bits) - 1), words, self.lanes, signed=True)
        assert list(found) == self.expected, f"{found} should be {self.expected}"
        return bits
