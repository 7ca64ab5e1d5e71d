"""Layers of trained networks as runs at gate level: a part of each, or all of it."""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from adq.energy.workload import require_samples
from adq.golden.artifact import Artifact, read_artifact
from adq.golden.mapping.mapper import operands, plan_layer
from adq.rtl.parameters import TileParameters
from adq.verif.operands.jobs import Job, layer_jobs
from adq.verif.simulation.layer_work import sample_input

__all__ = ["LayerCase", "network_cases", "real_cases"]

VECTORS = 48
"""Vectors of a job of which a part is run: enough for its first and last cycles not to matter."""

STRETCH = 4096
"""Cycles of a run of a whole layer's jobs, or one job where that takes more: a run keeps the value
of every net in every cycle, and runs go side by side."""


@dataclass(frozen=True)
class LayerCase:
    """A run: jobs of a layer of an artifact, on its first sample images.

    A job of several row blocks goes through the tile without a partial sum buffer as several of
    one.

    Attributes
    ----------
    artifact, layer : folder and name
    images : sample images
    first, last : of those jobs of one row block, from the first to before the last
    vectors : most vectors of a job, or None for all
    row_blocks, partial_sums : of the tile that the layer is planned for
    """

    artifact: str
    layer: str
    weight_bits: int
    activation_bits: int
    images: int = 1
    first: int = 0
    last: int = 1
    vectors: int | None = VECTORS
    row_blocks: int = TileParameters.row_blocks
    partial_sums: int = TileParameters.partial_sums

    words: ClassVar[str] = "real"
    used: ClassVar[float] = 1.0
    seed: ClassVar[int | None] = None

    @property
    def weights(self) -> str:
        """Where its weights come from."""
        return f"real:{self.artifact}:{self.layer}"

    @property
    def name(self) -> str:
        """A name for people."""
        return f"{self.artifact}: {self.layer}, {self.weight_bits}x{self.activation_bits} bits"

    @property
    def identity(self) -> str:
        """All that the jobs follow from, beside the tile."""
        manifest = (Path(self.artifact) / "manifest.json").read_bytes()
        return json.dumps(asdict(self), sort_keys=True) + hashlib.sha256(manifest).hexdigest()

    def absolute(self) -> "LayerCase":
        """Return the case for a process in another folder."""
        return replace(self, artifact=str(Path(self.artifact).resolve()))

    def jobs(self, tile: TileParameters) -> list[Job]:
        """Return the jobs, of one row block each."""
        planned = replace(tile, row_blocks=self.row_blocks, partial_sums=self.partial_sums)
        jobs = _single_blocks(self.artifact, self.layer, self.images, planned)
        return [
            replace(job, activations=job.activations[:, : self.vectors])
            for job in jobs[self.first : self.last]
        ]


def real_cases(artifact: Path) -> list[LayerCase]:
    """Return of each matrix layer of an artifact the first row block of its first job, on some
    vectors.
    """
    return list(_layers(artifact, read_artifact(artifact)))


def network_cases(artifact: Path, tile: TileParameters, images: int) -> list[LayerCase]:
    """Return all jobs of all matrix layers of an artifact, planned for a tile, in runs of about as
    many cycles.

    Raises
    ------
    EnergyError
        If it has fewer samples.
    adq.golden.artifact.ArtifactError
        If it is damaged.
    """
    read = read_artifact(artifact)
    require_samples(artifact, read, images)
    cases = []
    for layer in _layers(artifact, read):
        whole = replace(
            layer,
            images=images,
            vectors=None,
            row_blocks=tile.row_blocks,
            partial_sums=tile.partial_sums,
        )
        jobs = _single_blocks(whole.artifact, whole.layer, images, tile)
        first, cycles = 0, 0
        for place, job in enumerate(jobs, 1):
            cycles += tile.block_cycles(job.planes()) + tile.weight_beats
            if cycles >= STRETCH or place == len(jobs):
                cases.append(replace(whole, first=first, last=place))
                first, cycles = place, 0
    return cases


def _layers(path: Path, artifact: Artifact) -> Iterator[LayerCase]:
    network = artifact.network
    for layer in network.matrix_layers:
        bits = network.formats[layer.input].bits
        yield LayerCase(str(path), layer.name, layer.hardware_weight_bits, bits)


@functools.lru_cache(maxsize=1)
def _single_blocks(artifact: str, name: str, images: int, tile: TileParameters) -> list[Job]:
    """Return the jobs of a layer, those of several row blocks cut into jobs of one, in the plan's
    order.
    """
    whole = read_artifact(Path(artifact))
    network = whole.network
    matrix, weights = operands(
        network, name, sample_input(whole, network.matrix_layer(name), images)
    )
    plan = plan_layer(network, name, len(matrix), tile)
    return [
        replace(job, weights=job.weights[block, None], activations=job.activations[block, None])
        for job in layer_jobs(plan, np.asarray(matrix, np.int64), weights.astype(np.int64))
        for block in range(len(job.weights))
    ]
