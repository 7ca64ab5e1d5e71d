"""Vectors of a golden artifact for the Verilog testbench: beats of the AXI4-Stream ports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adq.rtl.axi_stream import Field, stream_bits, stream_fields
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import Job, streams_of

__all__ = ["FILES", "Vectors", "vectors_of"]

FILES = ("jobs", "weights", "activations", "results", "masks")
"""Names of the beats that the testbench reads, a file each."""


@dataclass(frozen=True)
class Vectors:
    """Beats of every stream as integers.

    Attributes
    ----------
    jobs, weights, activations : beats that are sent, the ``tdata`` of each
    results : beats that are expected, ``tlast`` above ``tdata``
    masks : for each expected beat, a 1 where it is defined
    patience : cycles without a result after which the tile hangs

    """

    jobs: list[int]
    weights: list[int]
    activations: list[int]
    results: list[int]
    masks: list[int]
    patience: int

    def hexadecimal(self, name: str) -> str:
        """Return the beats of a stream, a line each, for ``$readmemh``."""
        return "".join(f"{beat:x}\n" for beat in getattr(self, name))


def vectors_of(parameters: TileParameters, jobs: Sequence[Job]) -> Vectors:
    """Return the beats of jobs, which are sent one after another."""
    streams = streams_of(parameters, jobs)
    results, masks = [], []
    for job in jobs:
        for result, mask in _results(parameters, job):
            results.append(result)
            masks.append(mask)
    return Vectors(
        jobs=_beats(parameters, "jobs", streams.jobs),
        weights=_beats(parameters, "weights", streams.weights),
        activations=_beats(parameters, "activations", streams.activations),
        results=results,
        masks=masks,
        patience=4 * streams.patience,  # the testbench pauses in a quarter of the cycles
    )


def _beats(parameters: TileParameters, stream: str, beats: np.ndarray) -> list[int]:
    """Return beats of the tile's own stream, shape (beats, bytes), as ``tdata``."""
    fields = [field for field in stream_fields(parameters) if field.stream == stream]
    own = (int.from_bytes(bytes(beat), "little") for beat in beats)
    return [
        sum(
            (beat >> field.source + number * field.width & (1 << field.width) - 1)
            << field.offset + number * field.size
            for field in fields
            for number in range(field.count)
        )
        for beat in own
    ]


def _results(parameters: TileParameters, job: Job) -> Iterator[tuple[int, int]]:
    """Yield the results of a job and the bits of them that are defined."""
    fields = {f.name: f for f in stream_fields(parameters) if f.stream == "results"}
    last = 1 << stream_bits(parameters, "results")
    lanes = range(0, parameters.lanes, job.weight_bits // 2)
    outputs, status = fields["outputs"], fields["status"]
    mask = last | sum(_ones(outputs, lane) for lane in lanes) | _ones(status, 0)
    expected = job.results
    for number, vector in enumerate(expected):
        result = last * (number == len(expected) - 1)
        for lane, value in zip(lanes, vector, strict=True):
            result |= (int(value) << outputs.offset + lane * outputs.size) & _ones(outputs, lane)
        yield result, mask


def _ones(field: Field, number: int) -> int:
    """Return ones in all bits of an element of a field."""
    return ((1 << field.size) - 1) << field.offset + number * field.size
