"""Bench of the shift-add."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adq.rtl.interface import Status
from adq.verif.cocotb.bench import TILE, Bench, to_slice
from adq.verif.cocotb.plans import JobPlan, tag_beat
from adq.verif.cocotb.streams import IDLES, now
from adq.verif.operands import beats

__all__ = ["ShiftAddBench", "ShiftAddJob"]


@dataclass
class ShiftAddJob:
    """A job and the column counts of its planes, in the order of its tags.

    ``counts`` has shape (planes, columns), with columns in natural order. A plane whose counts are
    all 0 may be sent as an empty plane.
    """

    plan: JobPlan
    counts: np.ndarray

    def results(self) -> list[list[int]]:
        """Return the expected sums of every vector over row blocks, planes and columns."""
        plan = self.plan
        outputs = TILE.outputs(plan.weight_bits)
        totals = [[0] * outputs for _ in range(plan.vectors)]
        planes = iter(self.counts)
        for block in plan.planes:
            for vector, indices in enumerate(block):
                for index in indices:
                    negative = plan.signed and index == plan.activation_bits - 1
                    weights = [2 ** (index + bit) for bit in range(plan.weight_bits)]
                    weights[-1] *= -1
                    for column, count in enumerate(next(planes)):
                        output, bit = divmod(column, plan.weight_bits)
                        product = weights[bit] * int(count)
                        totals[vector][output] += -product if negative else product
        return totals


class ShiftAddBench(Bench):
    """Drives the shift-add in place of the array, and takes its results."""

    block = "shift_add"
    streams = ("results",)
    quiet: ClassVar = {"tag": 0, "counts": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.no_plane = IDLES[idle](self.random)
        self.sink("results", stall)
        self.last_plane = 0
        """First cycle in which the last plane was at the input."""

    def random_counts(self, plan: JobPlan, *, extreme: bool = False) -> ShiftAddJob:
        """Return random counts of a job, with some empty planes.

        If ``extreme``, the counts give the sums of largest magnitude.
        """
        planes = sum(len(indices) for block in plan.planes for indices in block)
        shape = (planes, TILE.columns)
        counts = self.rng.integers(0, TILE.rows + 1, shape)
        counts *= self.rng.random((planes, 1)) < 0.8
        if extreme and plan.status == Status.OK:
            top = np.arange(TILE.columns) % plan.weight_bits == plan.weight_bits - 1
            counts = np.where(top, TILE.rows, 0) * np.ones(shape, int)
        return ShiftAddJob(plan, counts)

    async def play(self, jobs: list[ShiftAddJob]):
        """Drive the planes of jobs, each until the pipeline moves."""
        for job in jobs:
            # No bubble precedes a malformed job.
            empty = [None] if job.plan.status == Status.OK else []
            for stage in [*empty, *zip(job.plan.tags(), self.planes_of(job), strict=True)]:
                while self.no_plane(True):
                    await self.stand(None, None)
                await self.stand(*(stage or (None, None)))
        await self.stand(None, None)

    def planes_of(self, job: ShiftAddJob):
        """Return the counts of a job's planes, or [None] for a malformed job."""
        return job.counts if job.plan.status == Status.OK else [None]

    async def stand(self, tag: dict[str, int] | None, counts: np.ndarray | None):
        """Drive a pipeline stage until it moves on. The counts of an empty plane are random."""
        zero = counts is None or (not counts.any() and self.random.random() < 0.8)
        beat = tag_beat(self.random, tag and {**tag, "zero": int(zero)})
        value = self.noise("counts")
        if not zero:
            value = to_slice(counts[TILE.sliced_columns], TILE.count_width)
        await self.cycle(tag=beat, counts=value)
        if tag:
            self.last_plane = now()
        while not self.read("advance"):
            await self.cycle()

    async def check(self, jobs: list[ShiftAddJob]):
        """Run jobs and compare every result."""
        self.start_soon(self.play(jobs))
        for number, job in enumerate(jobs):
            good = job.plan.status == Status.OK
            expected = job.results() if good else [None]
            taken = await self.sinks["results"].take(len(expected))
            size = beats.result_bytes(TILE)
            octets = [np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken]
            results = beats.Results(TILE, np.array(octets))
            assert results.status == [job.plan.status] * len(expected), f"job {number}"
            assert list(results.last) == [False] * (len(expected) - 1) + [True], f"job {number}"
            if good:
                found = results.outputs(job.plan.weight_bits).tolist()
                assert found == expected, f"job {number}: {found} should be {expected}: {job.plan}"
