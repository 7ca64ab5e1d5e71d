"""Bench of the whole tile, which sends jobs and compares their results."""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np

from adq.rtl.interface import Counter, Status
from adq.verif.cocotb.bench import TILE, Bench
from adq.verif.cocotb.plans import JobPlan
from adq.verif.operands import beats
from adq.verif.operands.jobs import Job
from adq.verif.signoff.replay.cases import Case, Refused, write_cases
from adq.verif.simulation.functional_coverage import JobSample, refusal_bin, reset_bin
from adq.verif.simulation.sampling import sample

__all__ = ["TileBench"]


class TileBench(Bench):
    """Drives and monitors every port of the tile."""

    streams = ("jobs", "weights", "activations", "results")
    quiet: ClassVar = {"counter_address": 0}
    patience: ClassVar = 2_000

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        for name in ("jobs", "weights", "activations"):
            self.source(name, idle)
        self.sink("results", stall)
        self.compared: dict[str, int] = {}
        """Number of activation and result beats that belong to compared jobs or to resets."""
        self.pauses = {"idle": idle, "stall": stall}
        self.history: list[Job | JobPlan] = []
        """Jobs since the last reset."""
        self.sent: list[Job | JobPlan] = []
        """Jobs sent since the last reset and not yet compared."""
        self.before: int | None = None
        """Weight bits of the last valid job since the last reset."""
        self.interrupted: list[str] = []
        """Coverage bins of resets after which no job has been compared yet."""

    async def reset(self):
        """Reset, and record the coverage bin of the reset. Later jobs are compared as usual."""
        self.interrupted += self.moment()
        await super().reset()
        self.compared = {
            name: len(self.monitors[name].taken) for name in ("activations", "results")
        }
        self.sent, self.history, self.before = [], [], None

    def moment(self) -> list[str]:
        """Return the coverage bin of a reset in this cycle, or none if the tile is idle."""
        taken = {
            name: len(self.monitors[name].taken) - count for name, count in self.compared.items()
        }
        for job in self.sent:
            if not isinstance(job, Job):
                return []
            row_blocks, vectors, _ = job.activations.shape
            if taken["results"] < vectors:
                if self.monitors["results"].waited:
                    moment = "waiting"
                elif taken["results"] > 0:
                    moment = "leaving"
                else:
                    moment = "computing" if taken["activations"] > 0 else "loading"
                return [reset_bin(moment, job.weight_bits)]
            taken["results"] -= vectors
            taken["activations"] -= row_blocks * vectors
        return []

    def send(self, jobs: list[Job | JobPlan], *, only: str = "", hold: str = ""):
        """Start to send jobs on all streams, on ``only`` one, or on all except ``hold``."""
        streams = {"jobs": [], "weights": [], "activations": []}
        if not only:
            self.sent += jobs
            self.history += jobs
            self.write_down()
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

    def write_down(self):
        """Write the jobs since reset as a case to the file ``ADQ_RECORD``, if it is set."""
        if path := os.environ.get("ADQ_RECORD"):
            jobs = (job if isinstance(job, Job) else Refused.of(job) for job in self.history)
            write_cases(Path(path), [Case(**self.pauses, seed=0, jobs=tuple(jobs))])

    async def check(self, jobs: list[Job | JobPlan]):
        """Run jobs, and compare every output of every vector with the product.

        A :class:`JobPlan` is malformed and must be rejected.
        """
        self.send(jobs)
        await self.compare(jobs)

    async def compare(self, jobs: list[Job | JobPlan]):
        """Compare the results of jobs that were sent, and sample the coverage bins they reach."""
        reached = []
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
            reached += self.bins(job) + self.interrupted
            self.interrupted = []
        sample(reached)

    def bins(self, job: Job | JobPlan) -> list[str]:
        """Return the coverage bins of the next compared job, by the timing of its beats."""

        def beats_of(name: str, count: int) -> slice:
            first = self.compared[name]
            self.compared[name] += count
            return slice(first, first + count)

        results = self.monitors["results"].waits
        self.sent.pop(0)
        if isinstance(job, JobPlan):
            waits = results[beats_of("results", 1)]
            return [refusal_bin(job.status.name, waiting=any(waits))]
        row_blocks, vectors, _ = job.activations.shape
        gaps = self.monitors["activations"].gaps[beats_of("activations", row_blocks * vectors)]
        waits = results[beats_of("results", vectors)]
        before, self.before = self.before, job.weight_bits
        met = {"late": any(gaps), "waiting": any(waits), "before": before}
        return JobSample.of(job, **met).bins()

    async def take(self, count: int) -> np.ndarray:
        """Return the next result beats as an array of bytes, shape (count, bytes)."""
        size = beats.result_bytes(TILE)
        taken = await self.sinks["results"].take(count)
        return np.array([np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken])

    async def counter(self, counter: Counter) -> int:
        """Read a performance counter."""
        await self.cycle(counter_address=counter.value)
        return self.read("counter_data")
