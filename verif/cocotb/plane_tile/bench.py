"""Bench of the plane tile."""

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from amaranth.lib.data import Layout

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.shift_add.result_register import sums_layout
from adq.verif.cocotb.bench import TILE, Bench, fields, to_bits
from adq.verif.cocotb.plans import tag_beat
from adq.verif.cocotb.streams import BACK_PRESSURES
from adq.verif.operands import beats

__all__ = ["Block", "PlaneTileBench"]


@dataclass
class Block:
    """A weight block and the vectors that run through it."""

    weight_bits: int
    planes: int
    signed: int
    weights: np.ndarray
    """(rows, outputs)."""
    vectors: np.ndarray
    """(vectors, rows)."""

    @property
    def sums(self) -> np.ndarray:
        """Sums of products: (vectors, outputs)."""
        return self.vectors @ self.weights


class PlaneTileBench(Bench):
    """Feeds planes of vectors, and compares the sums."""

    block = "plane_tile"
    streams = ("weights",)
    quiet: ClassVar = {"tag": 0, "plane": 0, "advance": 1}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.source("weights", idle)
        self.pause_plane = BACK_PRESSURES[idle](self.random)
        self.pause_advance = BACK_PRESSURES[stall](self.random)
        self.expected: deque[tuple[np.ndarray, Block, int]] = deque()
        """Sums that are to come, their block, and the moves of the pipeline until then."""
        self.moves = 0
        self.bank = 0
        """Bank of the next block."""
        self.before = 0
        """Weight bits of the last block."""

    async def reset(self):
        """Reset. Nothing is expected of what was on the way."""
        await super().reset()
        self.expected.clear()
        self.bank = self.before = 0

    def random_block(self, weight_bits: int, vectors: int, planes: int = 0) -> Block:
        """Draw a block with operands of several densities, extremes among them."""
        planes = planes or self.random.randint(1, 16)
        signed = self.random.randrange(2)
        least = -(2 ** (planes - 1)) if signed else 0
        activations = self.rng.integers(least, least + 2**planes, (vectors, TILE.rows))
        activations[self.rng.random(vectors) < 0.2] = 0
        activations[self.rng.random(vectors) < 0.1] = least + 2**planes - 1
        half = 2 ** (weight_bits - 1)
        weights = self.rng.integers(-half, half, (TILE.rows, TILE.outputs(weight_bits)))
        if self.random.random() < 0.2:
            weights[:] = self.random.choice((-half, half - 1))
        return Block(weight_bits, planes, signed, weights, activations)

    async def check(self, blocks: list[Block]) -> None:
        """Load the weights of blocks, feed their planes as soon as they are there, compare sums."""
        data = [
            int.from_bytes(bytes(beat), "little")
            for block in blocks
            for beat in beats.weight_beats(TILE, block.weights, block.weight_bits)
        ]
        loading = self.start_soon(self.sources["weights"].send(data))
        for block in blocks:
            if self.before not in (0, block.weight_bits):
                while not await self.step():  # one cycle without a plane
                    pass
            self.before = block.weight_bits
            while not self.read("full") >> self.bank & 1:
                await self.step()
            for place, vector in enumerate(block.vectors):
                last_vector = place == len(block.vectors) - 1
                await self.feed(block, vector, last_vector)
            self.bank ^= 1
        await loading
        while self.expected:
            await self.step()

    async def feed(self, block: Block, vector: np.ndarray, last_vector: bool) -> None:
        """Feed the planes of a vector, with pauses between them."""
        for index in range(block.planes):
            plane = vector >> index & 1
            last = index == block.planes - 1
            tag = {
                "zero": int(not plane.any()),
                "first": int(index == 0),
                "last": int(last),
                "negative": int(block.signed and last),
                "last_vector": int(last_vector),
                "bank": self.bank,
                "weight_bits": 1 << TILE.weight_widths.index(block.weight_bits),
                "status": 0,
            }
            while self.pause_plane(True):
                await self.step()
            while not await self.step(tag, to_bits(plane), (vector, block) if last else None):
                pass

    async def step(self, tag=None, plane=None, ends=None) -> bool:
        """Run a cycle, and say whether the pipeline moved. Sums that stand there are compared."""
        advance = not self.pause_advance(True)
        noise = self.noise("plane") if plane is None else plane
        await self.cycle(advance=int(advance), tag=tag_beat(self.random, tag), plane=noise)
        ended = fields(PlaneTag, self.read("ended"))
        due = bool(self.expected) and self.expected[0][2] == self.moves
        assert ended["valid"] == due, "sums at another time"
        if due:
            vector, block, _ = self.expected[0]
            self.compare(vector, block)
            if advance:
                self.expected.popleft()
        if advance:
            self.moves += 1
            if ends is not None:
                vector, block = ends
                latency = TILE.latency(block.weight_bits)
                self.expected.append((vector, block, self.moves + latency - 1))
        return advance

    def compare(self, vector: np.ndarray, block: Block) -> None:
        """Compare the sums that stand at the port with the products of a vector."""
        found = fields(sums_layout(TILE), self.read("sums"))
        shapes = dict(Layout.cast(sums_layout(TILE)))
        for output, wanted in enumerate((vector @ block.weights).tolist()):
            lane = str(output * block.weight_bits // 2)
            width = shapes[lane].width
            assert found[lane] == wanted % 2**width, (output, wanted)
