"""Mapper: a matrix layer becomes jobs of a tile.

A layer multiplies a matrix of activation vectors (vectors, rows) with weights (rows, outputs). A
job of the tile covers some outputs and some vectors, and all rows: these are cut into row blocks
over which the tile accumulates. Rows and outputs beyond the layer's are padded with zeros.

Notation used for shapes: R the tile's rows, P its outputs at the layer's weight width.
"""

import dataclasses
import math

import numpy as np

from golden.formats import NetworkError
from golden.im2col import im2col
from golden.network import Network
from golden.nodes import Conv2d
from rtl.parameters import TileParameters

__all__ = [
    "JobPlan",
    "LayerPlan",
    "activation_block",
    "assemble",
    "operands",
    "plan_layer",
    "weight_block",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobPlan:
    """A job: what the tile is told, and which part of the layer it computes."""

    weight_bits: int
    """kw, the tile's."""
    activation_bits: int
    signed: bool
    outputs: slice
    """Of the layer's outputs; at most P."""
    vectors: slice
    """Of the layer's vectors."""
    row_blocks: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """A layer's jobs, in the order in which they run."""

    name: str
    shape: tuple[int, ...]
    """Shape of the layer's output for one image."""
    rows: int
    """Rows of the layer."""
    outputs: int
    """Outputs of the layer."""
    vectors: int
    """Vectors of all images."""
    tile: TileParameters
    jobs: tuple[JobPlan, ...]

    @property
    def weight_loads(self) -> int:
        """Weight blocks that the jobs load."""
        return sum(job.row_blocks for job in self.jobs)

    @property
    def utilization(self) -> float:
        """Useful products over those for which the jobs occupy the tile.

        What is missing is lost to rows and outputs that do not fill their last block.
        """
        weight_bits = self.jobs[0].weight_bits
        occupied = sum(
            job.row_blocks * self.tile.rows * self.tile.outputs(weight_bits) * _length(job.vectors)
            for job in self.jobs
        )
        return self.rows * self.outputs * self.vectors / occupied


def _length(part: slice) -> int:
    return part.stop - part.start


def plan_layer(network: Network, name: str, vectors: int, tile: TileParameters) -> LayerPlan:
    """Cut a matrix layer with so many activation vectors into jobs.

    Raises
    ------
    NetworkError
        If the layer has more rows than the tile accumulates over.
    """
    layer = network[name]
    source = network.formats[layer.input]
    weight_bits = layer.hardware_weight_bits
    row_blocks = math.ceil(layer.rows / tile.rows)
    if row_blocks > tile.row_blocks:
        raise NetworkError(
            f"{name} has {layer.rows} rows, {row_blocks} blocks of the tile's {tile.rows}, which "
            f"accumulates over {tile.row_blocks}: raise row_blocks or rows of the tile"
        )
    most_vectors = tile.vectors if row_blocks == 1 else min(tile.vectors, tile.partial_sums)
    jobs = tuple(
        JobPlan(
            weight_bits=weight_bits,
            activation_bits=source.bits,
            signed=source.signed,
            outputs=slice(first, min(first + tile.outputs(weight_bits), layer.outputs)),
            vectors=slice(start, min(start + most_vectors, vectors)),
            row_blocks=row_blocks,
        )
        for first in range(0, layer.outputs, tile.outputs(weight_bits))
        for start in range(0, vectors, most_vectors)
    )
    return LayerPlan(
        name=name,
        shape=network.shapes[name],
        rows=layer.rows,
        outputs=layer.outputs,
        vectors=vectors,
        tile=tile,
        jobs=jobs,
    )


def operands(network: Network, name: str, layer_input: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A layer's product: activations (vectors, rows) and weights (rows, outputs)."""
    layer = network[name]
    if isinstance(layer, Conv2d):
        matrix = im2col(layer_input, layer.kernel, layer.stride, layer.padding)
    else:
        matrix = layer_input
    return matrix, layer.weight_matrix


def weight_block(plan: LayerPlan, job: JobPlan, block: int, weights: np.ndarray) -> np.ndarray:
    """Weights of a row block: (R, P) of the layer's (rows, outputs), padded."""
    tile = plan.tile
    part = weights[block * tile.rows : (block + 1) * tile.rows, job.outputs]
    padded = np.zeros((tile.rows, tile.outputs(job.weight_bits)), weights.dtype)
    padded[: part.shape[0], : part.shape[1]] = part
    return padded


def activation_block(plan: LayerPlan, job: JobPlan, block: int, matrix: np.ndarray) -> np.ndarray:
    """Activations of a row block: (job's vectors, R) of the layer's (vectors, rows), padded."""
    rows = plan.tile.rows
    part = matrix[job.vectors, block * rows : (block + 1) * rows]
    padded = np.zeros((len(part), rows), matrix.dtype)
    padded[:, : part.shape[1]] = part
    return padded


def assemble(plan: LayerPlan, results: list[np.ndarray]) -> np.ndarray:
    """Results of the jobs, (job's vectors, P) each, as the layer's products.

    Returns
    -------
    int64 array of shape (images, ...)
        In the shape of the layer's accumulator, without bias.
    """
    products = np.empty((plan.vectors, plan.outputs), np.int64)
    for job, result in zip(plan.jobs, results, strict=True):
        products[job.vectors, job.outputs] = result[:, : _length(job.outputs)]
    outputs, *sides = plan.shape
    images = plan.vectors // math.prod(sides)
    return np.moveaxis(products.reshape(images, *sides, outputs), -1, 1)
