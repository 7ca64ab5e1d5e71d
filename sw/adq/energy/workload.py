"""Work of a network's layers on a tile: features of their jobs.

Of a golden artifact they follow from the operands of its sample images. Of an architecture, whose
operands nobody knows, they are those of random words at stated densities: a few jobs are drawn for
each shape that the mapper's plan has, and counted for all of that shape.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.cost.work import LayerWork
from adq.energy.coefficients import EnergyError
from adq.golden.artifact import Artifact
from adq.golden.mapping.mapper import JobPlan, LayerPlan, plan_matrix
from adq.golden.mapping.utilization import use_of_layer
from adq.rtl.parameters import TileParameters
from adq.verif.operands.features import FEATURES, features_of
from adq.verif.operands.jobs import Job, LayerJobs
from adq.verif.simulation.layer_work import LayerWork as SimulatedWork
from adq.verif.simulation.layer_work import network_work, sample_input

__all__ = [
    "Density",
    "LayerFeatures",
    "architecture_features",
    "artifact_features",
    "require_samples",
]

VECTORS = 16
"""Vectors of a job that is drawn."""

CELLS = 4096
"""Bit cells that are drawn at least: on a smaller tile in several jobs. A large one's toggles then
are within a percent or two of the mean."""

MAXIMUM_JOBS = 2**20
"""Jobs of a layer, row blocks not counted, that are planned at most."""

MAXIMUM_WORDS = 2**32
"""Activations of a layer's jobs, one a row and vector, whose switching is counted at most."""

EXACT_BIT_PRODUCTS = 2**32
"""Bit products of the array, unused cells included, up to which all of a layer is counted."""

LEAST_SAMPLE = 8
"""Blocks of outputs of a larger layer that are counted at least."""

SAMPLE_SEED = 1
"""Seed by which they are chosen."""

_OF_LOADING = tuple(FEATURES)[tuple(FEATURES).index("blocks") :]


@dataclass(frozen=True)
class LayerFeatures:
    """A layer's work on a tile.

    Attributes
    ----------
    name : str
    macs : int
        Of one image.
    bits : int
        Precision as trained.
    weight_bits, activation_bits : int
        On the tile.
    density : float
        Share of the layer's *inputs* that are not zero.
    features : dict of str to float
        Of the jobs of ``images`` images.
    images : int
    loads : int
        Weight blocks loaded where every image has loads of its own.
    output_blocks : int
        Blocks of outputs that the plan has.
    sample : tuple of dict of str to float
        Features of each block of outputs that was counted, where not all were; ``features`` are
        then their sum, scaled to all blocks.
    """

    name: str
    macs: int
    bits: int
    weight_bits: int
    activation_bits: int
    density: float
    features: Mapping[str, float]
    images: int
    loads: int
    output_blocks: int = 0
    sample: tuple[Mapping[str, float], ...] = ()


def artifact_features(
    artifact: Artifact,
    tile: TileParameters,
    images: int,
    progress: Callable[[str], None] = lambda layer: None,
) -> list[LayerFeatures]:
    """Return the features of an artifact's layers, of its first samples.

    Of a layer with more than ``EXACT_BIT_PRODUCTS``, some blocks of outputs are counted, which are
    chosen at random. Its cycles, jobs and weight blocks are exact.
    """
    found = []
    for work in network_work(artifact, tile, images):
        progress(work.name)
        _require_countable(work.plan)
        blocks = _output_blocks(work.plan)
        sample = _sample(work, blocks)
        if sample:
            features = {
                name: sum(each[name] for each in sample) * len(blocks) / len(sample)
                for name in FEATURES
            }
            features |= _exact(artifact, work)
        else:
            features = work.features
        found.append(
            LayerFeatures(
                name=work.name,
                macs=work.macs,
                bits=max(work.layer.weight_bits, work.format.bits),
                weight_bits=work.layer.hardware_weight_bits,
                activation_bits=work.format.bits,
                density=work.input_density,
                features=features,
                images=images,
                loads=_loads_of_image(work.plan, work.plan.vectors // images),
                output_blocks=len(blocks),
                sample=sample,
            )
        )
    return found


def _output_blocks(plan: LayerPlan) -> list[list[JobPlan]]:
    """Return the jobs of a plan by the outputs that they compute."""
    blocks: dict[tuple[int, int], list[JobPlan]] = {}
    for job in plan.jobs:
        blocks.setdefault((job.groups.start, job.outputs.start), []).append(job)
    return list(blocks.values())


def _sample(
    work: SimulatedWork, blocks: Sequence[Sequence[JobPlan]]
) -> tuple[dict[str, float], ...]:
    """Return the features of some blocks of outputs; nothing if the layer is counted whole."""
    plan = work.plan
    planes = sum(job.vector_count * job.row_blocks * job.activation_bits for job in plan.jobs)
    share = EXACT_BIT_PRODUCTS / (planes * plan.tile.rows * plan.tile.columns)
    count = max(LEAST_SAMPLE, int(share * len(blocks)))
    if share >= 1 or count >= len(blocks):
        return ()
    chosen = np.random.default_rng(SAMPLE_SEED).choice(len(blocks), count, replace=False)
    return tuple(
        features_of(
            plan.tile,
            LayerJobs(
                dataclasses.replace(plan, jobs=tuple(blocks[place])), work.matrix, work.weights
            ),
        )
        for place in sorted(chosen)
    )


def _exact(artifact: Artifact, work: SimulatedWork) -> dict[str, float]:
    """Return the features of a layer that follow from its plan and its inputs alone."""
    inputs = sample_input(artifact, work.layer, work.images)
    use = use_of_layer(artifact.network, work.name, inputs, work.plan.tile)
    loads = work.plan.weight_loads
    return {
        "cycles": float(use.cycles),
        "jobs": float(len(work.plan.jobs)),
        "blocks": float(loads),
        "beats": float(loads * work.plan.tile.weight_beats),
    }


def _require_countable(plan: LayerPlan) -> None:
    """Refuse a layer whose jobs take longer to count than anybody waits."""
    words = sum(job.vector_count * job.row_blocks for job in plan.jobs) * plan.tile.rows
    if words > MAXIMUM_WORDS:
        raise EnergyError(
            f"{plan.layer} takes {words:,} activations on the tile, more than the "
            f"{MAXIMUM_WORDS:,} whose switching can be counted: give fewer --images, or a larger "
            "tile"
        )


def require_samples(path: Path, artifact: Artifact, images: int) -> None:
    """Refuse more images than an artifact has samples.

    Raises
    ------
    EnergyError
        If it has fewer.
    """
    count = len(artifact.samples)
    if images > count:
        raise EnergyError(
            f"{path} has {count} sample images, not {images}: ask for fewer, or export it with more"
        )


def _loads_of_image(plan: LayerPlan, vectors: int) -> int:
    """Return weight blocks loaded for an image of so many vectors, from the plan of several
    images.
    """
    chunk = plan.jobs[0].vector_count
    chunks = math.ceil(plan.vectors / chunk)
    return plan.weight_loads // chunks * math.ceil(vectors / chunk)


@dataclass(frozen=True)
class Density:
    """Shares of what is not zero in random operands.

    Attributes
    ----------
    activations : float
        Of words.
    weights : float
        Of bits: half of them in words that are all equally likely.
    """

    activations: float
    weights: float = 0.5


def architecture_features(
    layers: Sequence[LayerWork],
    tile: TileParameters,
    *,
    densities: Sequence[Density],
    images: int,
    signed_images: bool = True,
    seed: int = 1,
) -> list[LayerFeatures]:
    """Return the features of layers with random operands; ``densities`` are of each layer's inputs
    and weights. Activations are signed in the first layer alone, with ``signed_images``.

    Raises
    ------
    EnergyError
        If a layer would take more jobs than can be planned.
    """
    drawn = _Drawn(tile, seed)
    found = []
    for place, (layer, density) in enumerate(zip(layers, densities, strict=True)):
        per_image = layer.macs // layer.weights
        weight_bits = min(n for n in tile.weight_widths if n >= layer.weight_bits)
        rounds = math.ceil(images * per_image / tile.vectors)
        if rounds * math.ceil(layer.channels * weight_bits / tile.columns) > MAXIMUM_JOBS:
            raise EnergyError(
                f"{layer.name} would take {images * per_image} vectors, more than can be planned: "
                "give fewer or smaller images"
            )
        plan = plan_matrix(
            layer.name,
            rows=layer.weights // layer.channels,
            shape=(layer.channels,),
            weight_bits=weight_bits,
            activation_bits=layer.activation_bits,
            signed=signed_images and place == 0,
            vectors=images * per_image,
            tile=tile,
        )
        found.append(
            LayerFeatures(
                name=layer.name,
                macs=layer.macs,
                bits=layer.bits,
                weight_bits=weight_bits,
                activation_bits=layer.activation_bits,
                density=density.activations,
                features=drawn.of_plan(plan, layer.weight_bits, density),
                images=images,
                loads=_loads_of_image(plan, per_image),
            )
        )
    return found


class _Drawn:
    """Draws jobs, each shape once."""

    def __init__(self, tile: TileParameters, seed: int):
        self.tile = tile
        self.seed = seed
        self.known: dict[tuple[object, ...], dict[str, float]] = {}

    def of_plan(self, plan: LayerPlan, weight_bits: int, density: Density) -> dict[str, float]:
        """Return the features of a layer's jobs whose weights have ``weight_bits`` of their own."""
        # Jobs of one shape differ only in which outputs and vectors they take.
        shapes: Counter[tuple[int, int, int]] = Counter()
        first: dict[tuple[int, int, int], JobPlan] = {}
        for job in plan.jobs:
            shape = (job.outputs.stop - job.outputs.start, job.vector_count, job.blocks.start)
            shapes[shape] += 1
            first.setdefault(shape, job)
        total = dict.fromkeys(FEATURES, 0.0)
        for shape, count in shapes.items():
            for name, value in self._job(plan, first[shape], weight_bits, density).items():
                total[name] += count * value
        return total | {"jobs": len(plan.jobs)}

    def _job(
        self, plan: LayerPlan, job: JobPlan, weight_bits: int, density: Density
    ) -> dict[str, float]:
        """Return the features of a job among many of its shape."""
        tile, vectors = self.tile, job.vector_count
        total = dict.fromkeys(FEATURES, 0.0)
        cycles = []
        for block in range(job.blocks.start, job.blocks.stop):
            rows = min(tile.rows, plan.rows - block * tile.rows)
            features = self._block(job, rows, weight_bits, density)
            for name in FEATURES.keys() - {"cycles", "jobs"}:
                total[name] += features[name] * (1 if name in _OF_LOADING else vectors)
            cycles.append(round(features["plane_cycles"] * vectors))
        jobs = [(job.weight_bits, cycles)]
        # From the third job on one is like the other, whether it waits for weights or not.
        total["cycles"] = tile.sequence_cycles(4 * jobs) - tile.sequence_cycles(3 * jobs)
        return total

    def _block(
        self, job: JobPlan, rows: int, weight_bits: int, density: Density
    ) -> dict[str, float]:
        """Return the features of a row block, those of computing for a vector."""
        vectors = min(VECTORS, job.vector_count)
        outputs = job.outputs.stop - job.outputs.start
        # Results of several row blocks have more bits than those of one.
        blocks = min(2, job.row_blocks)
        key = (
            *(job.weight_bits, weight_bits, job.activation_bits, job.signed),
            *(rows, outputs, vectors, blocks, density),
        )
        if key not in self.known:
            rng = np.random.default_rng(self.seed)
            shape = (blocks, rows, outputs)
            count = math.ceil(CELLS / (self.tile.rows * self.tile.columns))
            drawn = [
                self._draw(rng, job, shape, vectors, weight_bits, density) for _ in range(count)
            ]
            features = features_of(self.tile, drawn)
            features["plane_cycles"] = features["planes"] + features["zero_planes"]
            divisors = dict.fromkeys(_OF_LOADING, blocks)
            self.known[key] = {
                name: value / divisors.get(name, blocks * vectors) / count
                for name, value in features.items()
            }
        return self.known[key]

    def _draw(
        self,
        rng: np.random.Generator,
        job: JobPlan,
        shape: tuple[int, int, int],
        vectors: int,
        weight_bits: int,
        density: Density,
    ) -> Job:
        """Return a job of so many (row blocks, rows, outputs); the others are zeros."""
        tile, bits = self.tile, job.activation_bits
        blocks, rows, outputs = shape
        weights = np.zeros((blocks, tile.rows, tile.outputs(job.weight_bits)), np.int64)
        set_ = rng.random((*shape, weight_bits)) < density.weights
        words = (set_ << np.arange(weight_bits)).sum(axis=3)
        # The highest bit is the sign.
        words -= set_[..., -1].astype(np.int64) << weight_bits
        weights[:, :rows, :outputs] = words
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if job.signed else (1, 2**bits)
        drawn = rng.integers(low, high, (blocks, vectors, rows))
        drawn *= rng.random(drawn.shape) < density.activations
        activations = np.zeros((blocks, vectors, tile.rows), np.int64)
        activations[..., :rows] = drawn
        return Job(job.weight_bits, bits, job.signed, weights, activations)
