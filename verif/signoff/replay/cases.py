"""Cases: jobs for the tile through its ports, as JSON."""

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
    """A malformed job: its fields, and the status that it must get."""

    fields: dict[str, int]
    status: str

    @classmethod
    def of(cls, plan) -> "Refused":
        """Of a malformed :class:`adq.verif.cocotb.plans.JobPlan`."""
        names = ("weight_bits", "activation_bits", "signed", "vectors", "row_blocks")
        return cls({name: int(getattr(plan, name)) for name in names}, plan.status.name)

    def plan(self):
        """As a :class:`adq.verif.cocotb.plans.JobPlan`; in a simulation only."""
        from adq.verif.cocotb.plans import JobPlan

        return JobPlan(**self.fields, status=Status[self.status])


@dataclass(frozen=True)
class Case:
    """Jobs that follow each other from reset, and the patterns in which ports pause."""

    idle: str
    stall: str
    seed: int
    """Of the patterns."""
    jobs: tuple[Job | Refused, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """How large it is: jobs, beats of operands, words that are not zero."""
        good = [job for job in self.jobs if isinstance(job, Job)]
        return (
            len(self.jobs),
            sum(job.activations.shape[0] * (1 + job.activations.shape[1]) for job in good),
            sum(int((job.weights != 0).sum() + (job.activations != 0).sum()) for job in good),
        )

    def with_jobs(self, jobs) -> "Case":
        """The same with other jobs."""
        return replace(self, jobs=tuple(jobs))

    def describe(self) -> str:
        """In words."""
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
    """Write cases, whole, beside whatever else is to be known of them."""
    document = {
        "cases": [{**vars(case), "jobs": [_job_json(job) for job in case.jobs]} for case in cases],
        **more,
    }
    write_text(path, json.dumps(document))


def read_cases(path: Path) -> tuple[list[Case], dict]:
    """Cases of a file, and the whole file.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        If it is no such file.
    """
    document = parse(read_file(path, MAXIMUM_BYTES))
    cases = [Case(**{**case, "jobs": tuple(map(_job, case["jobs"]))}) for case in document["cases"]]
    return cases, document
