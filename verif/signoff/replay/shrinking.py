"""Shrinks a failing case: fewer jobs, vectors and row blocks, and fewer non-zero words.

Delta debugging in rounds: all ways to make a case smaller are tried at once, in one simulation,
and the smallest that still fails is the next to be made smaller.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from adq.verif.operands.jobs import Job
from adq.verif.signoff.replay.cases import Case

__all__ = ["shrink", "smaller"]

MOST = 64
"""Ways that are tried in a round."""


def smaller(case: Case) -> Iterator[Case]:
    """Yield smaller variants of a case, the smallest first."""
    jobs = case.jobs
    parts = 2
    while parts <= len(jobs) or (parts // 2 < len(jobs)):
        cuts = np.linspace(0, len(jobs), min(parts, len(jobs)) + 1).astype(int)
        pieces = list(itertools.pairwise(cuts.tolist()))
        if len(pieces) > 1:
            yield from (case.with_jobs(jobs[first:last]) for first, last in pieces)
            if parts > 2:
                yield from (case.with_jobs([*jobs[:first], *jobs[last:]]) for first, last in pieces)
        parts *= 2
    for pause in ("idle", "stall"):
        if getattr(case, pause) != "never":
            yield replace(case, **{pause: "never"})
    for number, job in enumerate(jobs):
        if isinstance(job, Job):
            for other in smaller_job(job):
                yield case.with_jobs([*jobs[:number], other, *jobs[number + 1 :]])


def smaller_job(job: Job) -> Iterator[Job]:
    """Yield smaller variants of a job."""
    blocks, vectors, _ = job.activations.shape
    if blocks > 1:
        for kept in (slice(0, 1), slice(1, None)):
            yield replace(job, weights=job.weights[kept], activations=job.activations[kept])
    if vectors > 1:
        for kept in (slice(0, vectors // 2), slice(vectors // 2, None)):
            yield replace(job, activations=job.activations[:, kept])
    for name, axis in (("activations", 2), ("weights", 1), ("weights", 2)):
        words = getattr(job, name)
        size = words.shape[axis]
        for first, last in ((0, size // 2), (size // 2, size), *_single(words, axis)):
            cleared = words.copy()
            cleared[(slice(None),) * axis + (slice(first, last),)] = 0
            if (cleared != words).any():
                yield replace(job, **{name: cleared})


def _single(words: np.ndarray, axis: int) -> list[tuple[int, int]]:
    """Return the single positions along an axis that are not zero, if they are few."""
    others = tuple(n for n in range(words.ndim) if n != axis)
    places = np.flatnonzero((words != 0).any(axis=others)).tolist()
    return [(place, place + 1) for place in places] if 1 < len(places) <= 4 else []


def shrink(
    case: Case,
    fails: Callable[[Sequence[Case]], list[bool]],
    *,
    deadline: float = float("inf"),
    progress: Callable[[str], None] = lambda stage: None,
) -> Case:
    """Return the smallest case found that fails in the same way.

    Parameters
    ----------
    fails
        Of some cases, whether each fails.
    deadline
        By ``time.monotonic``, after which no round is begun.
    """
    while time.monotonic() < deadline:
        ways = sorted(smaller(case), key=lambda way: way.size)
        ways = [way for way in ways if way.size < case.size or way.size == case.size][:MOST]
        if not ways:
            return case
        better = [way for way, bad in zip(ways, fails(ways), strict=True) if bad]
        if not better:
            return case
        case = better[0]
        progress(f"fails with {case.describe()}")
    return case
