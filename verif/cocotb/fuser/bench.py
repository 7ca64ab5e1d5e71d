"""Bench of the fuser."""

from typing import ClassVar

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_slice, to_slice
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["FuserBench", "fused_sums"]


def fused_sums(counts: np.ndarray, weight_bits: int) -> list[int]:
    """Return each output's sum of column counts by bit weight, with the top column negative."""
    sums = []
    for first in range(0, TILE.columns, weight_bits):
        *low, top = map(int, counts[first : first + weight_bits])
        sums.append(sum(count << bit for bit, count in enumerate(low)) - (top << (weight_bits - 1)))
    return sums


class FuserBench(Bench):
    """Drives column counts, given in natural order, and compares the sums of every width."""

    block = "fuser"
    quiet: ClassVar = {"step": 0}

    def __init__(self, dut, *, stall: str = "never"):
        super().__init__(dut)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.held = {}

    async def check(self, planes: list[tuple[int, np.ndarray]]):
        """Drive planes, given as weight bits and counts, one per cycle except in pauses.

        Sums of 2-bit and 4-bit weights must be output in the same cycle. Other sums must be output
        one cycle later and be held until the next plane with such weights.
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
        """Compare the outputs with the expected sums, given by weight bits."""
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
