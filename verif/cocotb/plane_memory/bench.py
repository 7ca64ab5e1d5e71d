"""Bench of the plane memory."""

from typing import ClassVar

from adq.rtl.platform.planes.plane_memory import fetch_layout, write_layout
from adq.verif.cocotb.bench import Bench, pack
from adq.verif.cocotb.platform_sizes import SMALL

__all__ = ["PlaneMemoryBench"]


class PlaneMemoryBench(Bench):
    """Fetches, reads and writes in the same cycles, beside a list of words."""

    block = "plane_memory"
    quiet: ClassVar = {"fetches__0": 0, "reads__0__valid": 0, "reads__0__payload": 0,
                       "writes__0__valid": 0, "writes__0__payload": 0}  # fmt: skip

    def __init__(self, dut):
        super().__init__(dut)
        self.memory: list[int | None] = [None] * SMALL.plane_memory_words
        self.fetched: list[int | None] = [None, None]
        """Words of the last fetch that must stand at the port now; None where any may."""
        self.read_word: int | None = None

    def random_fetch(self) -> dict[str, int]:
        """Draw a fetch; most are of two words."""
        address = self.random.randrange(SMALL.plane_memory_words)
        first, second = self.random.choice(((1, 1), (1, 1), (1, 0), (0, 1)))
        return {"address": address, "first": first, "second": second}

    def random_write(self, address: int | None = None) -> dict[str, int]:
        """Draw a write, of a whole word or of some of its bits."""
        bits = SMALL.rows
        mask = self.random.choice((2**bits - 1, self.random.getrandbits(bits)))
        if address is None:
            address = self.random.randrange(SMALL.plane_memory_words)
        return {"address": address, "word": self.random.getrandbits(bits), "mask": mask}

    async def step(
        self,
        fetch: dict[str, int] | None = None,
        read: int | None = None,
        write: dict[str, int] | None = None,
    ) -> bool:
        """Run a cycle, compare the words of the cycle before, and say whether the read was taken.

        What is not asked for is noise.
        """
        bits, address_bits = SMALL.rows, SMALL.address_bits
        noise = {"address": self.random.getrandbits(address_bits), "first": 0, "second": 0}
        await self.cycle(
            fetches__0=pack(fetch_layout(address_bits), fetch or noise),
            reads__0__valid=int(read is not None),
            reads__0__payload=self.noise("reads__0__payload") if read is None else read,
            writes__0__valid=int(write is not None),
            writes__0__payload=self.noise("writes__0__payload") if write is None
            else pack(write_layout(address_bits, bits), write),
        )  # fmt: skip
        assert self.read("granted"), "a fetch never waits"
        assert self.read("writes__0__ready"), "a write never waits for reads"
        words = self.read("words__0")
        for place, expected in enumerate(self.fetched):
            found = words >> place * bits & (2**bits - 1)
            assert expected is None or found == expected, place
        assert self.read_word is None or self.read("read_words__0") == self.read_word
        taken = read is not None and bool(self.read("reads__0__ready"))
        fetch = fetch or noise
        parities = {fetch["address"] & 1} if fetch["first"] else set()
        parities |= {1 - (fetch["address"] & 1)} if fetch["second"] else set()
        if read is not None:
            assert taken == (read & 1 not in parities), "a read waits for a fetch, and for nothing"
        if parities or taken:
            self.fetched = [None, None]
        for place, name in enumerate(("first", "second")):
            if fetch[name] and fetch["address"] + place < len(self.memory):
                self.fetched[place] = self.memory[fetch["address"] + place]
        self.read_word = self.memory[read] if taken else None
        if write is not None:
            before = self.memory[write["address"]]
            if before is not None or write["mask"] == 2**bits - 1:
                kept = (before or 0) & ~write["mask"]
                self.memory[write["address"]] = kept | write["word"] & write["mask"]
        return taken
