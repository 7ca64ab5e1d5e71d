"""Cases: sequences of jobs for the ports of a tile, stored as JSON."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from adq.golden.files.json_reader import MAXIMUM_BYTES, parse
from adq.golden.files.reading import read_file
from adq.golden.files.writing import write_text
from adq.rtl.interface import Status
from adq.verif.operands.jobs import Job

__all__ = ["Case", "Refused", "read_cases", "write_cases"]


@dataclass(frozen=True)
class Refused:
    """A malformed job: its fields, and the status that it must return."""

    fields: dict[str, int]
    status: str

    @classmethod
    def of(cls, plan) -> "Refused":
        """Convert a malformed :class:`adq.verif.cocotb.plans.JobPlan`."""
        names = ("weight_bits", "activation_bits", "signed", "vectors", "row_blocks")
        return cls({name: int(getattr(plan, name)) for name in names}, plan.status.name)

    def plan(self):
        """Convert to an :class:`adq.verif.cocotb.plans.JobPlan`; in a simulation only."""
        from adq.verif.cocotb.plans import JobPlan

        return JobPlan(**self.fields, status=Status[self.status])


@dataclass(frozen=True)
class Case:
    """A sequence of jobs after reset, and the pause pattern of each port."""

    idle: str
    stall: str
    seed: int
    """Seed of the patterns."""
    jobs: tuple[Job | Refused, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """Size of the case: number of jobs, operand beats and non-zero words."""
        good = [job for job in self.jobs if isinstance(job, Job)]
        return (
            len(self.jobs),
            sum(job.activations.shape[0] * (1 + job.activations.shape[1]) for job in good),
            sum(int((job.weights != 0).sum() + (job.activations != 0).sum()) for job in good),
        )

    def with_jobs(self, jobs) -> "Case":
        """Return the same case with other jobs."""
        return replace(self, jobs=tuple(jobs))

    def describe(self) -> str:
        """Describe the case in one line."""
        beats = self.size[1]
        return f"{len(self.jobs)} jobs of {beats} beats, sources {self.idle}, sink {self.stall}"


def _job_json(job: Job | Refused) -> dict:
    if isinstance(job, Refused):
        return {"fields": job.fields, "status": job.status}
    return {
        "weight_bits": job.weight_bits,
        "activation_bits": job.activation_bits,
        "signed": bool(job.signed),
        "weights": job.weights.tolist(),
        "activations": job.activations.tolist(),
    }


def _job(document: dict) -> Job | Refused:
    if "status" in document:
        return Refused(document["fields"], document["status"])
    arrays = {name: np.array(document[name], np.int64) for name in ("weights", "activations")}
    return Job(**{**document, **arrays})


def write_cases(path: Path, cases: list[Case], **more) -> None:
    """Write cases to a file, with further fields."""
    document = {
        "cases": [{**vars(case), "jobs": [_job_json(job) for job in case.jobs]} for case in cases],
        **more,
    }
    write_text(path, json.dumps(document))


def read_cases(path: Path) -> tuple[list[Case], dict]:
    """Return the cases of a file, and the parsed file.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        If it is no such file.
    """
    document = parse(read_file(path, MAXIMUM_BYTES))
    cases = [Case(**{**case, "jobs": tuple(map(_job, case["jobs"]))}) for case in document["cases"]]
    return cases, document
