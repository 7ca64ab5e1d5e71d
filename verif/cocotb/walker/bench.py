"""Bench of the walker: banks, halves and words around it."""

from typing import ClassVar

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.planes.plane_memory import fetch_layout
from adq.rtl.platform.planes.walk_layouts import part_layout, walk_layout
from adq.verif.cocotb.bench import Bench, fields
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.cocotb.walker.reference import planes_of, settings_of

__all__ = ["WalkerBench", "packed"]


def packed(layout, values: dict) -> int:
    """Pack the members of a structure of structures into a port value."""
    total = 0
    for name, field in layout:
        value = values[name]
        if isinstance(value, dict):
            value = packed(field.shape, value)
        total |= (value & (2**field.width - 1)) << field.offset
    return total


class Places:
    """Banks or halves, which are given back some time after they are used."""

    def __init__(self, random, most: int):
        self.random, self.most = random, most
        self.ready = [1, 1]
        self.waits = [0, 0]

    def use(self, place: int):
        """Use a place: its bit falls in a while, and rises again after another."""
        assert self.ready[place]
        self.ready[place] = 0
        self.waits[place] = self.random.randint(1, self.most) if self.most else 1

    def step(self) -> int:
        """Return the bits of the next cycle. A place falls at the end of the first wait."""
        bits = 0
        for place in range(2):
            if self.waits[place]:
                self.waits[place] -= 1
                if not self.waits[place] and self.ready[place] == 0:
                    self.ready[place] = -1
                    self.waits[place] = self.random.randint(1, self.most) if self.most else 1
                    continue
                if not self.waits[place]:
                    self.ready[place] = 1
        for place in range(2):
            bits |= (self.ready[place] >= 0) << place
        return bits


class WalkerBench(Bench):
    """Runs layers, and compares every plane and its tag.

    ``most`` are the most cycles in which a bank or a half is used or empty. With ``held``, planes
    that are asked for are not always fetched in the same cycle.
    """

    block = "walker"
    quiet: ClassVar = {"settings": 0, "start": 0, "full": 0, "free": 0, "go": 1}

    def __init__(self, dut, *, most: int = 0, held: bool = False):
        super().__init__(dut)
        self.most = most
        self.held = held
        self.bank = self.half = 0
        self.waiting = self.fetched = False
        """A plane was waiting at the end of the last cycle, or was fetched in it."""

    async def reset(self):
        """Reset; banks and halves begin anew."""
        await super().reset()
        self.banks, self.halves = Places(self.random, self.most), Places(self.random, self.most)
        self.bank = self.half = 0
        self.waiting = self.fetched = False

    async def step(self, *, begins_job: bool = True, **inputs: int) -> dict[str, int]:
        """Run a cycle, and return the tag. ``begins_job`` is that of the next plane."""
        full, free = self.banks.step(), self.halves.step()
        go = int(not self.held or self.random.random() < 0.6)
        await self.cycle(full=full, free=free, go=go, **inputs)
        tag = fields(PlaneTag, self.read("tag"))
        asks, active, starved = map(self.read, ("asks", "active", "starved"))
        assert tag["valid"] == (asks & go)
        assert active >= starved + asks, "it waits for weights or asks for a plane, or neither"
        assert not asks or full >> self.bank & 1, "a plane is fetched without weights"
        if self.waiting and not full >> self.bank & 1:
            assert starved, "a plane waits for weights"
        if (self.waiting or self.fetched) and not begins_job:
            assert asks or starved, "a job under way waits for no half"
        self.waiting = bool(active and (asks or starved) and not tag["valid"])
        self.fetched = bool(tag["valid"])
        return tag

    async def check(self, layer: Layer, image: int, limit: int | None = None) -> int:
        """Run a layer on a memory of random words; returns its cycles.

        With a ``limit``, give up after so many planes.
        """
        bits = SMALL.rows
        memory = [self.random.getrandbits(bits) for _ in range(SMALL.plane_memory_words)]
        settings = packed(walk_layout(SMALL), settings_of(layer, image, SMALL))
        await self.step(settings=settings, start=1)
        cycles = 1
        for count, expected in enumerate(planes_of(layer, image, SMALL, memory)):
            if count == limit:
                return cycles
            job = {"begins_job": bool(expected.begins_job)}
            while not (tag := await self.step(settings=settings, start=0, **job))["valid"]:
                cycles += 1
                assert cycles < 100_000
                assert self.read("active")
            cycles += 1
            wanted = expected.tag | {"bank": self.bank}
            assert {name: tag[name] for name in wanted} == wanted, (count, layer)
            fetch = fields(fetch_layout(SMALL.address_bits), self.read("fetch"))
            part = fields(part_layout(bits), self.read("part"))
            words = 0
            for place, name in enumerate(("first", "second")):
                address = fetch["address"] + place
                # A word that is not fetched holds noise.
                word = memory[address % len(memory)] if fetch[name] else self.random.getrandbits(16)
                words |= word << place * bits
            found = words >> part["offset"] & ((1 << part["end"]) - 1)
            found &= -1 << part["begin"] & (2**bits - 1)
            assert found == expected.bits, (count, layer)
            if not expected.bits and part["begin"] >= part["end"]:
                assert not fetch["first"] | fetch["second"], "nothing lies there"
            if expected.begins_job:
                self.halves.use(self.half)
                self.half ^= 1
            if tag["last"] and tag["last_vector"]:
                self.banks.use(self.bank)
                self.bank ^= 1
        assert not (await self.step(settings=settings, start=0))["valid"]
        assert not self.read("active")
        return cycles
