"""Jobs with operands, their expected results, and the beats that carry them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from adq.golden.files.stored_arrays import Array
from adq.golden.mapping import mapper
from adq.golden.mapping.im2col import WindowMatrix
from adq.rtl.parameters import TileParameters

__all__ = [
    "Job",
    "Jobs",
    "LayerJobs",
    "Streams",
    "layer_jobs",
    "random_job",
    "streams_of",
    "write_streams",
]

STREAMS = ("jobs", "weights", "activations")
"""Input streams of the tile."""

SHARED_BYTES = 2**22
"""Activations of a layer that are kept for its next jobs."""


@dataclass
class Job:
    """A job with its operands: weights (row blocks, rows, outputs), activations (row blocks,
    vectors, rows).
    """

    weight_bits: int
    activation_bits: int
    signed: bool
    weights: np.ndarray
    activations: np.ndarray

    @property
    def results(self) -> np.ndarray:
        """Expected results, computed with Python integers: (vectors, outputs)."""
        products: np.ndarray = sum(
            activations.astype(object) @ weights.astype(object)
            for weights, activations in zip(self.weights, self.activations, strict=True)
        )
        return products

    def planes(self) -> list[int]:
        """Return the number of planes of each vector: up to the highest bit that is set in any
        word.
        """
        words = self.activations & (2**self.activation_bits - 1)
        highest = np.bitwise_or.reduce(words, axis=2)
        return [int(word).bit_length() for word in highest.ravel()]

    def beat(self, parameters: TileParameters) -> bytes:
        """Return the beat of the job stream."""
        from adq.verif.operands import beats  # which imports Amaranth: jobs alone do without

        return beats.job_beat(
            parameters,
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            signed=self.signed,
            vectors=self.activations.shape[1],
            row_blocks=len(self.weights),
        )


def random_job(
    parameters: TileParameters,
    rng: np.random.Generator,
    *,
    weight_bits: int,
    activation_bits: int,
    signed: bool,
    vectors: int = 3,
    row_blocks: int = 1,
    density: float = 0.6,
    extreme: bool = False,
    small: bool = False,
) -> Job:
    """Return a job with random operands. With ``extreme``, all operands have the largest magnitude;
    with ``small``, activations fit three bits, so that sums cross zero often.
    """
    low, high = (
        (-(2 ** (activation_bits - 1)), 2 ** (activation_bits - 1))
        if signed
        else (0, 2**activation_bits)
    )
    weight_low, weight_high = -(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1)
    weights_shape = (row_blocks, parameters.rows, parameters.outputs(weight_bits))
    activations_shape = (row_blocks, vectors, parameters.rows)
    if extreme:
        weights = rng.choice([weight_low, weight_high - 1], weights_shape)
        activations = rng.choice([low, high - 1], activations_shape)
        weights[:, :, 0] = weight_low
        activations[:, 0] = low if signed else high - 1
    else:
        weights = rng.integers(weight_low, weight_high, weights_shape)
        if small:
            low, high = max(low, -8), min(high, 8)
        activations = rng.integers(low, high, activations_shape)
        activations *= rng.random(activations_shape) < density
    return Job(weight_bits, activation_bits, signed, weights, activations)


def layer_jobs(
    plan: mapper.LayerPlan, matrix: Array | WindowMatrix, weights: np.ndarray
) -> Iterator[Job]:
    """Yield the jobs of a layer whose operands are ``matrix`` (vectors, rows) and ``weights``
    (rows, outputs); see :func:`adq.golden.mapping.mapper.operands`.

    Jobs that differ in their outputs alone share their activations.
    """

    def blocks(cut: Callable[..., np.ndarray], job: mapper.JobPlan, operand: object) -> np.ndarray:
        return np.stack([cut(plan, job, block, operand) for block in range(job.row_blocks)])

    shared: dict[tuple[int, int, int], np.ndarray] = {}
    held = 0
    for job in plan.jobs:
        key = (job.vectors.start, job.blocks.start, job.groups.start)
        if key not in shared:
            activations = blocks(mapper.activation_block, job, matrix)
            held += activations.nbytes
            if held > SHARED_BYTES:
                shared.clear()
                held = activations.nbytes
            shared[key] = activations
        yield Job(
            job.weight_bits,
            job.activation_bits,
            job.signed,
            weights=blocks(mapper.weight_block, job, weights),
            activations=shared[key],
        )


@dataclass(frozen=True)
class LayerJobs:
    """Jobs of a layer, formed anew each time they are gone through: their operands can be larger
    than the memory. See ``layer_jobs``.
    """

    plan: mapper.LayerPlan
    matrix: Array | WindowMatrix
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.plan.jobs)

    def __iter__(self) -> Iterator[Job]:
        return layer_jobs(self.plan, self.matrix, self.weights)


class Jobs(Protocol):
    """Jobs that can be gone through several times."""

    def __len__(self) -> int:
        """Return the number of jobs."""

    def __iter__(self) -> Iterator[Job]:
        """Go through the jobs in order."""


@dataclass(frozen=True)
class Streams:
    """Input streams that the harness plays.

    Attributes
    ----------
    jobs, weights, activations : uint8 of shape (beats, bytes)
        Beats of the streams, least significant byte first.
    results : int
        Beats of results that they give.
    patience : int
        Cycles without a result after which the tile hangs: more than any of the jobs takes.
    """

    jobs: np.ndarray
    weights: np.ndarray
    activations: np.ndarray
    results: int
    patience: int

    def write(self, directory: Path) -> None:
        """Write the files that the harness reads."""
        for name in STREAMS:
            self.write_stream(name, directory)

    def write_stream(self, name: str, directory: Path) -> None:
        """Write the file of one stream."""
        (directory / f"{name}.bin").write_bytes(self.stream_bytes(name))

    def stream_bytes(self, name: str) -> bytes:
        """Return the content of the file of one stream."""
        return np.ascontiguousarray(getattr(self, name)[:, ::-1]).tobytes()


def streams_of(parameters: TileParameters, jobs: Sequence[Job]) -> Streams:
    """Return the beats of consecutive jobs."""
    parts = [_streams_of_job(parameters, job) for job in jobs]
    return Streams(
        jobs=np.concatenate([each.jobs for each in parts]),
        weights=np.concatenate([each.weights for each in parts]),
        activations=np.concatenate([each.activations for each in parts]),
        results=sum(each.results for each in parts),
        patience=max(each.patience for each in parts),
    )


def write_streams(parameters: TileParameters, jobs: Jobs, directory: Path) -> tuple[int, int]:
    """Write the files of consecutive jobs, as ``Streams.write`` does, one job at a time.

    Returns the ``results`` and the ``patience`` of their streams.
    """
    results, patience = 0, 0
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context((directory / f"{name}.bin").open("wb")) for name in STREAMS
        }
        for job in jobs:
            streams = _streams_of_job(parameters, job)
            for name, file in files.items():
                file.write(streams.stream_bytes(name))
            results += streams.results
            patience = max(patience, streams.patience)
    return results, patience


def _streams_of_job(parameters: TileParameters, job: Job) -> Streams:
    from adq.verif.operands import beats

    row_blocks, vectors, _ = job.activations.shape
    # None of its planes is empty, and it waits for all of its weights.
    planes = [job.activation_bits] * vectors * row_blocks
    cycles = parameters.job_cycles(planes) + parameters.weight_beats * row_blocks
    return Streams(
        jobs=np.frombuffer(job.beat(parameters), np.uint8)[None],
        weights=np.concatenate(
            [beats.weight_beats(parameters, block, job.weight_bits) for block in job.weights]
        ),
        activations=np.concatenate(
            [beats.activation_beats(parameters, block) for block in job.activations]
        ),
        results=vectors,
        patience=1000 + 2 * cycles,
    )
