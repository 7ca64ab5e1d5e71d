"""Tests of the plane aligner against shifts of whole numbers."""

import itertools
from collections import deque
from typing import ClassVar

import cocotb

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.planes.walk_layouts import part_layout
from adq.verif.cocotb.bench import Bench, fields, pack
from adq.verif.cocotb.plans import tag_beat
from adq.verif.cocotb.platform_sizes import SMALL
from adq.verif.simulation.testpoints import shows

BITS = SMALL.rows


class AlignerBench(Bench):
    """Fetches parts of random words, and compares the planes two cycles later."""

    block = "plane_aligner"
    quiet: ClassVar = {"part": 0, "fetched": 0, "words": 0}

    async def reset(self):
        """Reset, with nothing on the way."""
        await super().reset()
        self.parts: deque[tuple[dict, dict] | None] = deque([None])
        self.planes: deque[tuple[dict, int] | None] = deque([None])

    async def step(self, part: dict[str, int] | None):
        """Fetch a part, or nothing; compare the plane that leaves."""
        tag = None
        if part is not None:
            tag = {name: self.random.getrandbits(1) for name in ("first", "last", "negative")}
            # Fields that planes of a vector share are copied with its first plane.
            tag |= {"first": 1, "weight_bits": 1 << self.random.randrange(4), "status": 0}
        words = self.random.getrandbits(2 * BITS)
        before = self.parts.popleft()
        if before is None:
            self.planes.append(None)
        else:
            read, read_tag = before
            value = words >> read["offset"] & (2**BITS - 1)
            value &= (1 << read["end"]) - 1 & (-1 << read["begin"])
            self.planes.append((read_tag, value))
        self.parts.append(None if part is None else (part, tag))
        given = self.noise("part") if part is None else pack(part_layout(BITS), part)
        await self.cycle(part=given, fetched=tag_beat(self.random, tag), words=words)
        found = fields(PlaneTag, self.read("tag"))
        expected = self.planes.popleft()
        assert found["valid"] == (expected is not None)
        if expected is not None:
            tag, value = expected
            assert {name: found[name] for name in tag} == tag
            assert self.read("plane") == value
            assert found["zero"] == (value == 0)


@shows("platform.walker")
@cocotb.test()
async def every_part(dut):
    """Take every part of random words, with and without gaps."""
    bench = AlignerBench(dut)
    await bench.start()
    for offset, begin, end in itertools.product(range(BITS), range(BITS + 1), range(BITS + 1)):
        if bench.random.random() < 0.2:
            await bench.step(None)
        if offset % 4 == 1 or begin in (0, BITS) or bench.random.random() < 0.2:
            await bench.step({"offset": offset, "begin": begin, "end": end})
    for _ in range(3):
        await bench.step(None)


@shows("platform.walker")
@cocotb.test()
async def reset_at_any_moment(dut):
    """Reset while planes are on the way: none of them leaves."""
    bench = AlignerBench(dut)
    await bench.start()
    for cycles in range(1, 5):
        for _ in range(cycles):
            await bench.step({"offset": 3, "begin": 0, "end": BITS})
        await bench.reset()
        for _ in range(4):
            await bench.step(None)
