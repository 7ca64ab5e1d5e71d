"""Bench of the fuser."""

from typing import ClassVar

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_slice, to_slice
from adq.verif.cocotb.streams import BACK_PRESSURES

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
    quiet: ClassVar = {"step": 0}

    def __init__(self, dut, *, stall: str = "never"):
        super().__init__(dut)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.held = {}

    async def check(self, planes: list[tuple[int, np.ndarray]]):
        """Weight bits and counts of planes, a plane a cycle except for pauses: the sums of 2 and 4
        bits must come at once, the others a cycle later, and stay until the next of those.
        """
        planes = list(planes)
        while planes:
            plane = None if self.pause(True) else planes.pop(0)
            inputs = {name: self.noise(name) for name in ("weight_bits", "counts")} | {"step": 0}
            weight_bits = None
            if plane:
                weight_bits, counts = plane
                sums = fused_sums(counts, weight_bits)
                inputs["weight_bits"] = 1 << TILE.weight_widths.index(weight_bits)
                inputs["counts"] = to_slice(counts[TILE.sliced_columns], TILE.count_width)
                inputs["step"] = int(weight_bits not in TILE.direct_widths)
            await self.cycle(**inputs)
            direct = weight_bits in TILE.direct_widths
            self.compare(self.held | ({weight_bits: sums} if direct else {}))
            if inputs["step"]:
                self.held = {weight_bits: sums}
        await self.cycle(step=0)
        self.compare(self.held)

    def compare(self, expected_sums: dict[int, list[int]]):
        """Compare the sums that stand at the outputs of some precisions."""
        for weight_bits, sums in expected_sums.items():
            outputs = TILE.outputs(weight_bits)
            found = from_slice(
                self.read(f"fused_{weight_bits}"),
                TILE.plane_width(weight_bits),
                outputs,
                signed=True,
            )
            expected = [sums[column // weight_bits] for column in TILE.sliced_columns[:outputs]]
            assert list(found) == expected, f"{weight_bits} bits: {found} should be {expected}"
