"""Bench of the weight array."""

from typing import ClassVar

import numpy as np

from adq.verif.cocotb.bench import TILE, Bench, from_bits, to_bits
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["WeightArrayBench"]

SHAPE = (TILE.rows, TILE.columns)


class WeightArrayBench(Bench):
    """Loads blocks of weights, uses each for some planes, and compares every product."""

    block = "weight_array"
    streams = ("weights",)
    quiet: ClassVar = {"step": 0, "release": 0, "bank": 0, "plane": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.source("weights", idle)
        self.pause = BACK_PRESSURES[stall](self.random)

    def beats_of(self, block: np.ndarray) -> list[int]:
        """Return the beats of a block, with random values in rows beyond the last."""
        padded = self.rng.integers(0, 2, (TILE.weight_beats * TILE.rows_per_beat, TILE.columns))
        padded[: TILE.rows] = block
        return [to_bits(rows) for rows in padded.reshape(TILE.weight_beats, -1, TILE.columns)]

    def random_uses(self, blocks: int, *, most_planes: int = 5) -> list[tuple]:
        """Return random blocks, each with the random planes that use it."""
        return [
            (
                self.rng.integers(0, 2, SHAPE),
                list(self.rng.integers(0, 2, (self.random.randint(1, most_planes), TILE.rows))),
            )
            for _ in range(blocks)
        ]

    async def check(self, uses: list[tuple], *, cycles: int | None = None) -> int:
        """Load blocks, multiply each with its planes, and compare.

        If ``cycles`` is given, the check stops after that many cycles.

        Returns
        -------
        int
            Cycles from the first beat to the last release.
        """
        beats = [beat for block, _ in uses for beat in self.beats_of(block)]
        self.start_soon(self.sources["weights"].send(beats))
        planes = [(n, plane) for n, (_, planes) in enumerate(uses) for plane in planes]
        filled: list[int] = []  # first cycle in which each block can be used
        accepted = released = using = cycle = 0
        products = None
        while released < len(uses):
            if cycle == cycles:
                return cycle
            block = planes[0][0] if planes else len(uses)
            there = [n for n, since in enumerate(filled) if released <= n and since <= cycle]
            step = block in there and not self.pause(True)
            # The tile releases a bank no later than in the cycle of the other bank's first plane.
            release = released < block and (step or not self.pause(True))
            if step:
                using, plane = planes.pop(0)
            await self.cycle(
                step=int(step),
                bank=using % TILE.banks,
                plane=to_bits(plane) if step else self.read("plane"),
                release=1 << (released % TILE.banks) if release else 0,
            )
            full = sum(1 << n % TILE.banks for n in there)
            assert self.read("full") == full, f"cycle {cycle}: full should be {full:02b}"
            if products is not None:
                found = from_bits(self.read("products"), SHAPE)
                assert (found == products).all(), f"cycle {cycle}: products of block {using}"
            ready = accepted // TILE.weight_beats - released < TILE.banks
            assert self.read("weights__ready") == ready, f"cycle {cycle}: ready should be {ready}"
            if ready and self.read("weights__valid"):
                accepted += 1
                if accepted % TILE.weight_beats == 0:
                    filled.append(cycle + TILE.store_latency)
            if release:
                released += 1
                products = np.zeros(SHAPE, int)  # loading must not toggle products
            if step:
                products = uses[using][0][:, TILE.sliced_columns] * plane[:, None]
            cycle += 1
        await self.cycle(step=0, release=0)
        return cycle
