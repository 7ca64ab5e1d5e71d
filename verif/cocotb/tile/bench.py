"""Bench of the whole tile: jobs, their streams, and what they must give."""

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
    """Drives and watches every port."""

    streams = ("jobs", "weights", "activations", "results")
    quiet: ClassVar = {"counter_address": 0}
    patience: ClassVar = 2_000

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        for name in ("jobs", "weights", "activations"):
            self.source(name, idle)
        self.sink("results", stall)
        self.compared: dict[str, int] = {}
        """Beats of activations and results that belong to jobs compared, or to resets."""
        self.pauses = {"idle": idle, "stall": stall}
        self.history: list[Job | JobPlan] = []
        """Jobs since the last reset."""
        self.sent: list[Job | JobPlan] = []
        """Jobs since the last reset that are not yet compared."""
        self.before: int | None = None
        """Weight bits of the last good job since reset."""
        self.interrupted: list[str] = []
        """Bins of the resets whose effects are not yet compared."""

    async def reset(self):
        """What follows is compared as after the first reset."""
        self.interrupted += self.moment()
        await super().reset()
        self.compared = {
            name: len(self.monitors[name].taken) for name in ("activations", "results")
        }
        self.sent, self.history, self.before = [], [], None

    def moment(self) -> list[str]:
        """Bin of a reset now: what the tile is at; none where it has nothing to do."""
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
        """Begin to send jobs with their operands; ``only`` one stream, or ``hold`` one back."""
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
        """Leave the jobs since reset as a case, where that is asked for."""
        if path := os.environ.get("ADQ_RECORD"):
            jobs = (job if isinstance(job, Job) else Refused.of(job) for job in self.history)
            write_cases(Path(path), [Case(**self.pauses, seed=0, jobs=tuple(jobs))])

    async def check(self, jobs: list[Job | JobPlan]):
        """Run jobs; every output of every vector must be the product. A :class:`JobPlan` is
        malformed, and must be refused.
        """
        self.send(jobs)
        await self.compare(jobs)

    async def compare(self, jobs: list[Job | JobPlan]):
        """Compare the results of jobs that are sent, and count the bins that they reached."""
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
        """Bins that the next job compared reaches, by what its beats met."""

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
        """Result beats as bytes."""
        size = beats.result_bytes(TILE)
        taken = await self.sinks["results"].take(count)
        return np.array([np.frombuffer(beat.to_bytes(size, "little"), np.uint8) for beat in taken])

    async def counter(self, counter: Counter) -> int:
        """Read a performance counter."""
        await self.cycle(counter_address=counter.value)
        return self.read("counter_data")
