"""Bench of the sequencer."""

import itertools
from collections import deque
from typing import ClassVar

from adq.rtl.interface import Status
from adq.rtl.plane_tag import PlaneTag
from adq.verif.cocotb.bench import TILE, Bench, fields
from adq.verif.cocotb.plans import JobPlan
from adq.verif.cocotb.streams import BACK_PRESSURES, IDLES

__all__ = ["SequencerBench"]


class SequencerBench(Bench):
    """Sends jobs, emulates the feeder and the weight banks, and compares every tag."""

    block = "sequencer"
    streams = ("jobs",)
    quiet: ClassVar = {"advance": 0, "full": 0, "loaded": 0}

    def __init__(self, dut, *, idle: str = "never", stall: str = "never"):
        super().__init__(dut)
        self.source("jobs", idle)
        self.no_vector = IDLES[idle](self.random)
        self.no_weights = IDLES[idle](self.random)
        self.pause = BACK_PRESSURES[stall](self.random)
        self.bank = 0

    async def reset(self):
        """Reset. The next weights are in bank 0."""
        await super().reset()
        self.bank = 0

    async def check(self, jobs: list[JobPlan], *, cycles: int | None = None) -> list[int]:
        """Run jobs and compare. If ``cycles`` is given, the check stops after that many cycles.

        Returns
        -------
        list of int
            Cycle in which each job ended.
        """
        self.start_soon(self.sources["jobs"].send([job.beat for job in jobs]))
        expected = deque((number, tag) for number, job in enumerate(jobs) for tag in job.tags())
        vectors = deque(
            (number, indices)
            for number, job in enumerate(jobs)
            for block in job.planes
            for indices in block
        )
        loaded: list[int] = []  # indices of the remaining planes of the vector in the feeder
        first = True
        banks, leaving = [False] * TILE.banks, None
        empty_stages = 1  # steps of the pipeline since the last plane of a job
        done: list[int] = []
        accepted = 0
        for cycle in itertools.count():
            if cycle == cycles or not expected:
                break
            for number in range(TILE.banks):
                banks[number] |= number != leaving and not self.no_weights(True)
            advance = not self.pause(True)
            await self.cycle(
                advance=int(advance),
                full=sum(full << number for number, full in enumerate(banks)),
                loaded=int(bool(loaded)),
                zero=self.noise("zero"),
                first=int(first) if loaded else self.noise("first"),
                last=int(len(loaded) == 1) if loaded else self.noise("last"),
                index=loaded[0] if loaded else self.noise("index"),
            )
            take, fetch, job_done = self.read("take"), self.read("fetch"), False
            tag = fields(PlaneTag, self.read("tag"))
            if not advance:
                assert [take, fetch, tag["valid"]] == [0, 0, 0], "moves while the pipeline stands"
            assert tag["valid"] or not take
            current = len(done)
            assert self.read("active") == (current < accepted), (
                "active without a job, or not with one"
            )
            if advance and leaving is not None:  # one step after the last plane of the bank
                banks[leaving], leaving = False, None
            if tag["valid"]:
                number, meant = expected.popleft()
                job = jobs[number]
                job_done = not expected or expected[0][0] != number
                wrong = {name: tag[name] for name in meant if tag[name] != meant[name]}
                assert not wrong, f"{wrong} of job {number}, which should be {meant}"
                assert take == (job.status == Status.OK), "a malformed job takes no plane"
                if take:
                    assert loaded, "took a plane that is not there"
                    assert banks[self.bank], "took a plane for weights that are not there"
                    assert tag["bank"] == self.bank
                    assert tag["zero"] == self.read("zero")
                    assert self.read("activation_bits") == job.activation_bits
                    assert empty_stages, "no empty stage in front of the job"
                    loaded.pop(0)
                    first = not loaded
                    if meant["last"] and meant["last_vector"]:
                        leaving, self.bank = self.bank, 1 - self.bank
            assert self.read("job_done") == job_done
            if job_done:
                done.append(cycle)
                empty_stages = 0
            elif advance and not tag["valid"]:
                empty_stages += 1
            elif take:
                empty_stages = 1  # no bubble is needed within a job
            if fetch and not loaded and not self.no_vector(True):
                assert vectors, "fetched a vector behind the last one"
                assert current < accepted, "fetched a vector before its job is known"
                number, indices = vectors.popleft()
                assert number == current, f"fetched a vector of job {number} in job {current}"
                loaded = list(indices)
            accepted += self.read("jobs__valid") & self.read("jobs__ready")
        if expected:
            return done
        for _ in range(3):
            await self.cycle(advance=1, loaded=0, full=3)
            assert not self.read("active")
            assert not self.read("fetch")
            assert not self.read("take")
            assert not fields(PlaneTag, self.read("tag"))["valid"]
            assert self.read("jobs__ready")
        return done
