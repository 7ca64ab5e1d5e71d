"""Bench of the whole tile: jobs, their streams, and what they must give."""

from typing import ClassVar

import numpy as np

from rtl.interface import Counter, Status
from verif import beats
from verif.cocotb.bench import TILE, Bench
from verif.cocotb.plans import JobPlan
from verif.jobs import Job

__all__ = ["TileBench"]


class TileBench(Bench):
    """Drives and watches every port."""

    streams = ("jobs", "weights", "activations", "results")
    quiet: ClassVar = {"counter_address": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        for name in ("jobs", "weights", "activations"):
            self.source(name, idle)
        self.sink("results", stall)

    def send(self, jobs: list[Job | JobPlan], *, only: str = "", hold: str = ""):
        """Begin to send jobs with their operands; ``only`` one stream, or ``hold`` one back."""
        streams = {"jobs": [], "weights": [], "activations": []}
        for job in jobs:
            if isinstance(job, JobPlan):
                streams["jobs"].append(job.beat)
                continue
            streams["jobs"].append(int.from_bytes(job.beat(TILE), "little"))
            for weights, activations in zip(job.weights, job.activations, strict=True):
                for name, octets in (
                    ("weights", beats.weight_beats(TILE, weights, job.weight_bits)),
                    ("activations", beats.activation_beats(TILE, activations)),
                ):
                    streams[name] += [int.from_bytes(bytes(beat), "little") for beat in octets]
        for name, integers in streams.items():
            if name != hold and (not only or name == only):
                self.start_soon(self.sources[name].send(integers))

    async def check(self, jobs: list[Job | JobPlan]):
        """Run jobs; every output of every vector must be the product. A :class:`JobPlan` is
        malformed, and must be refused.
        """
        self.send(jobs)
        await self.compare(jobs)

    async def compare(self, jobs: list[Job | JobPlan]):
        """Compare the results of jobs that are sent."""
        for number, job in enumerate(jobs):
            good = isinstance(job, Job)
            expected = job.results if good else [None]
            results = beats.Results(TILE, await self.take(len(expected)))
            where = f"job {number}, {job.weight_bits} x {job.activation_bits} bits"
            status = Status.OK if good else job.status
            assert results.status == [status] * len(expected), where
            assert list(results.last) == [False] * (len(expected) - 1) + [True], where
            if good:
                outputs = results.outputs(job.weight_bits)
                assert (outputs == expected).all(), f"{where}: {outputs} should be {expected}"

    async def take(self, count: int) -> np.ndarray:
        """Result beats as bytes."""
        size = beats.result_bytes(TILE)
        taken = await self.sinks["results"].take(count)
        return np.array([np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken])

    async def counter(self, counter: Counter) -> int:
        """Read a performance counter."""
        await self.cycle(counter_address=counter.value)
        return self.read("counter_data")
