"""Bench of the accumulator memory: a tile that ends vectors, and a drain that reads them."""

from dataclasses import dataclass
from typing import ClassVar

from adq.rtl.plane_tag import PlaneTag
from adq.rtl.platform.accumulator_memory import read_layout
from adq.rtl.shift_add.result_register import sums_layout
from adq.verif.cocotb.accumulator_memory.sizes import ACCUMULATOR_MEMORIES
from adq.verif.cocotb.bench import Bench, pack
from adq.verif.cocotb.streams import BACK_PRESSURES

__all__ = ["AccumulatorMemoryBench", "Job"]

NO_TAG = {name: 0 for name, _ in PlaneTag.as_shape().members.items()}


def wrapped(number: int, bits: int) -> int:
    """Return what two's complement of ``bits`` bits keeps of a number."""
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


@dataclass
class Job:
    """Sums of every lane, of each vector in each row block: ``blocks[block][vector][lane]``."""

    blocks: list[list[list[int]]]


class AccumulatorMemoryBench(Bench):
    """Fills halves with random jobs, reads them in any order, and compares every output."""

    quiet: ClassVar = {"ended": 0, "sums": 0, "weight_bits": 1, "accumulator_bits": 1, "read": 0,
                       "release": 0, "held": 0}  # fmt: skip

    def __init__(self, dut, block: str, *, idle: str = "never", stall: str = "never"):
        self.block = block  # before ports are looked up
        super().__init__(dut)
        self.parameters = ACCUMULATOR_MEMORIES[block]
        self.tile = self.parameters.tile
        self.layout = sums_layout(self.tile)
        self.pause_vector = BACK_PRESSURES[idle](self.random)
        self.pause_read = BACK_PRESSURES[stall](self.random)
        self.half = 0
        """Half of the next job."""
        self.cycles_taken = 0
        """Cycles of the last jobs, up to their last vector."""

    async def reset(self):
        """Reset; the next job goes to half 0."""
        await super().reset()
        self.half = 0

    def random_job(self, vectors: int = 0, blocks: int = 0) -> Job:
        """Draw a job. Sums are of any size, extremes among them."""
        vectors = vectors or self.random.randint(1, self.parameters.accumulator_vectors)
        blocks = blocks or self.random.randint(1, 4)

        def number(bits: int) -> int:
            if self.random.random() < 0.2:
                return self.random.choice((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1))
            return wrapped(self.random.getrandbits(self.random.randint(1, bits)), bits)

        widths = [self.layout[str(lane)].width for lane in range(self.tile.lanes)]
        return Job(
            [[[number(bits) for bits in widths] for _ in range(vectors)] for _ in range(blocks)]
        )

    def expected(self, job: Job, vector: int, output: int) -> int:
        """Return an output's sum: in the bits of its lane, then in those of the layer."""
        lane = output * self.weight_bits // 2
        total = sum(block[vector][lane] for block in job.blocks)
        stored = self.parameters.lane_bits(self.tile.lane_weight_bits(lane))
        return wrapped(wrapped(total, stored), min(self.accumulator_bits, stored))

    async def check(self, jobs: list[Job], weight_bits: int, accumulator_bits: int) -> None:
        """Run the jobs of a layer."""
        self.weight_bits, self.accumulator_bits = weight_bits, accumulator_bits
        await self.cycle(
            weight_bits=1 << self.tile.weight_widths.index(weight_bits),
            accumulator_bits=accumulator_bits,
        )
        filling = self.start_soon(self.fill(jobs))
        for job in jobs:
            await self.drain(job)
        await filling

    async def fill(self, jobs: list[Job]) -> None:
        """End the vectors of jobs, each job as soon as its half is free."""
        for job in jobs:
            while not self.read("free") >> self.half & 1:
                await self.cycle(ended=0, sums=self.noise("sums"))
            for number, block in enumerate(job.blocks):
                for place, sums in enumerate(block):
                    while self.pause_vector(False):
                        # The tag of an invalid vector is noise.
                        tag = pack(PlaneTag, {n: self.random.getrandbits(4) for n in NO_TAG})
                        valid = pack(PlaneTag, NO_TAG | {"valid": 1})
                        await self.cycle(ended=tag & ~valid, sums=self.noise("sums"))
                    tag = NO_TAG | {
                        "valid": 1,
                        "first_block": int(number == 0),
                        "last_block": int(number == len(job.blocks) - 1),
                        "last_vector": int(place == len(block) - 1),
                    }
                    values = {str(lane): each for lane, each in enumerate(sums)}
                    await self.cycle(ended=pack(PlaneTag, tag), sums=pack(self.layout, values))
            self.half ^= 1
        await self.cycle(ended=0)

    async def drain(self, job: Job) -> None:
        """Read every output of a job's vectors, in any order, and free the half."""
        p, waited = self.parameters, 0
        while not self.read("finished"):
            await self.cycle(read=self.noise("read") & ~1, release=0)
            waited += 1
            assert waited < 10_000, "the job is never finished"
        vectors = range(len(job.blocks[0]))
        reads = [(v, s) for v in vectors for s in range(p.slices(self.weight_bits))]
        self.random.shuffle(reads)
        for place, (vector, which) in enumerate(reads):
            fields = {"enable": 1, "vector": vector, "slice": which}
            last = place == len(reads) - 1
            await self.cycle(read=pack(read_layout(p), fields), release=int(last))
            await self.compare(job, vector, which)
        await self.cycle(read=0, release=0)

    async def compare(self, job: Job, vector: int, which: int) -> None:
        """Compare the outputs of a read. They stand while they are held."""
        p = self.parameters
        waits = True
        while waits:
            waits = self.pause_read(False)
            await self.cycle(read=self.noise("read") & ~1, release=0, held=int(waits))
            found = self.read("results")
            width = len(self.port("results")) // p.requantizers
            first = which * p.requantizers
            last = min(first + p.requantizers, self.tile.outputs(self.weight_bits))
            for place, output in enumerate(range(first, last)):
                number = wrapped(found >> place * width & (2**width - 1), width)
                wanted = self.expected(job, vector, output)
                assert number == wanted, (vector, output, self.weight_bits, self.accumulator_bits)
