"""Bench of the partial sum buffer."""

from typing import ClassVar

from adq.verif.cocotb.bench import TILE, Bench

__all__ = ["PartialSumsBench"]


class PartialSumsBench(Bench):
    """Reads and writes entries, and compares them with a list."""

    block = "partial_sums"
    quiet: ClassVar = {"read": 0, "read_last": 0, "write": 0, "write_last": 0}

    def __init__(self, dut):
        super().__init__(dut)
        self.entries, self.sums, self.read_at, self.write_at = [], None, 0, 0

    async def reset(self):
        """Reset. Both pointers are at the first entry; the contents are undefined."""
        await super().reset()
        self.entries = [None] * TILE.partial_sums
        self.read_at = self.write_at = 0
        self.sums = None

    async def step(self, *, read=False, read_last=False, write=False, write_last=False):
        """Run one cycle. The output must be the entry read in the previous cycle."""
        next_sums = self.noise("next_sums")
        await self.cycle(
            read=int(read),
            read_last=int(read_last),
            write=int(write),
            write_last=int(write_last),
            next_sums=next_sums,
        )
        if self.sums is not None:
            assert self.read("sums") == self.sums, "not the sums that were written"
        if write:
            self.entries[self.write_at] = next_sums
            self.write_at = 0 if write_last else self.write_at + 1
        if read:
            self.sums = self.entries[self.read_at]
            self.read_at = 0 if read_last else self.read_at + 1
