"""Bench of the fuser."""

from typing import ClassVar

import numpy as np

from verif.cocotb.bench import TILE, Bench, from_slice, to_slice
from verif.cocotb.streams import BACK_PRESSURES

__all__ = ["FuserBench", "fused_sums"]


def fused_sums(counts: np.ndarray, weight_bits: int) -> list[int]:
    """Sum of each output of the counts of its columns by their weights, the top one negative."""
    sums = []
    for first in range(0, TILE.columns, weight_bits):
        *low, top = map(int, counts[first : first + weight_bits])
        sums.append(sum(count << bit for bit, count in enumerate(low)) - (top << (weight_bits - 1)))
    return sums


class FuserBench(Bench):
    """Shows counts of columns in natural order, and compares the sums of every precision."""

    block = "fuser"
    quiet: ClassVar = {"step": 0, "step_16": 0}

    def __init__(self, dut, *, stall: str = "never"):
        super().__init__(dut)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.held = dict.fromkeys(TILE.weight_widths)
        self.entering_16 = None  # sums that the next step makes those of 16 bits

    async def check(self, planes: list[tuple[int, np.ndarray]]):
        """Weight bits and counts of planes, a plane a cycle except for pauses: the sums must come a
        cycle later, two at 16 bits, and then stay until the next ones at that precision.
        """
        planes = list(planes)
        while planes or self.entering_16:
            stands = self.pause(True)
            step = bool(planes) and not stands
            step_16 = self.entering_16 is not None and not stands
            weight_bits, counts = planes.pop(0) if step else (0, None)
            inputs = {name: self.noise(name) for name in ("weight_bits", "counts")}
            if step:
                inputs["weight_bits"] = 1 << TILE.weight_widths.index(weight_bits)
                inputs["counts"] = to_slice(counts[TILE.sliced_columns], TILE.count_width)
            await self.cycle(**inputs, step=int(step), step_16=int(step_16))
            self.compare()
            if step_16:
                self.held[16], self.entering_16 = self.entering_16, None
            if step:
                sums = fused_sums(counts, weight_bits)
                if weight_bits > 2:  # wide sums share their adders
                    self.held[4] = self.held[8] = None
                if weight_bits == 16:
                    self.entering_16 = sums
                else:
                    self.held[weight_bits] = sums
        await self.cycle(step=0, step_16=0)
        self.compare()

    def compare(self):
        """Compare the sums that stand at the outputs."""
        for weight_bits, sums in self.held.items():
            if sums is None:
                continue
            outputs = TILE.outputs(weight_bits)
            found = from_slice(
                self.read(f"fused_{weight_bits}"),
                TILE.fused_width(weight_bits),
                outputs,
                signed=True,
            )
            expected = [sums[column // weight_bits] for column in TILE.sliced_columns[:outputs]]
            assert list(found) == expected, f"{weight_bits} bits: {found} should be {expected}"
