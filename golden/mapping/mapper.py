"""Mapper: splits layers into jobs of the tile.

A job takes a block of outputs, as many as fit side by side in the tile's columns, and a chunk of
vectors, and runs them through all row blocks of the layer. For each row block in turn the tile
loads (R, C/kw) weights and then takes V vectors of R words; after the last it gives V results of
C/kw sums. Rows beyond the layer's and outputs beyond the layer's are zeros::

                     outputs          one job: an output block, a vector chunk
                 +------+------+      and every row block
          rows   |  B0  |      |
                 +------+------+      weights      (R, C/kw)   each row block
                 |  B1  |      |      activations  (V, R)      each row block
                 +------+------+      results      (V, C/kw)   once

A layer of more row blocks than a job accumulates takes several jobs for the same results, which
are added where they are put together.

A convolution in groups is a matrix with a block of weights a group on its diagonal. A job takes as
many whole groups as fit, rows under rows and outputs beside outputs, or a part of one group::

                     outputs
                 +---+---+---+
          rows   | g0|   |   |
                 +---+---+   |
                 |   | g1|   |
                 +---+---+---+
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from adq.golden.files.stored_arrays import Array
from adq.golden.mapping.im2col import WindowMatrix
from adq.golden.network import Conv2d, MatrixLayer, Network
from adq.rtl.parameters import TileParameters


class MappingError(ValueError):
    """The tile cannot compute a layer. The message names the layer, the reason and the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobPlan:
    """One job of the tile."""

    weight_bits: int
    """kw: 2, 4, 8 or 16."""
    activation_bits: int
    """kx: 1 to 16, the bit planes of a vector."""
    signed: bool
    """True if the activations are two's complement."""
    outputs: slice
    """Outputs of the layer that the job computes, at most C/kw."""
    groups: slice
    """Groups of the convolution to which they belong; the first and only one elsewhere."""
    vectors: slice
    """Vectors of the layer that the job computes."""
    blocks: slice
    """Row blocks of the layer, or of the job's groups, over which the job accumulates."""

    @property
    def row_blocks(self) -> int:
        """B: row blocks of the job."""
        return int(self.blocks.stop - self.blocks.start)

    @property
    def vector_count(self) -> int:
        """V: vectors of the job."""
        return int(self.vectors.stop - self.vectors.start)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """Jobs of a layer, in the order in which the tile runs them."""

    layer: str
    tile: TileParameters
    rows: int
    """Weights of one output."""
    groups: int
    """Groups of the convolution."""
    shape: tuple[int, ...]
    """The layer's output without N: (O, OH, OW) or (O,)."""
    vectors: int
    """N*OH*OW, or N for a linear layer."""
    jobs: Sequence[JobPlan]

    @property
    def outputs(self) -> int:
        """Output channels O of the layer."""
        return self.shape[0]

    @property
    def weight_loads(self) -> int:
        """Weight blocks that the tile loads."""
        return sum(job.row_blocks for job in self.jobs)


def plan_layer(network: Network, name: str, vectors: int, tile: TileParameters) -> LayerPlan:
    """Split a matrix layer into jobs for ``vectors`` vectors, which come from whole images.

    Outputs are the outer loop, vectors and then row blocks the inner ones.

    Raises
    ------
    MappingError
        The node is no matrix layer, or the vectors are not whole images.

    """
    layer = _matrix_layer(network, name)
    shape = network.shapes[name]
    per_image = math.prod(shape[1:])
    if vectors < 1 or vectors % per_image:
        raise MappingError(
            f"{name}: {vectors} vectors are not whole images, of {per_image} vectors each"
        )
    activations = network.formats[layer.input]
    return plan_matrix(
        name,
        rows=layer.rows,
        shape=shape,
        groups=layer.groups if isinstance(layer, Conv2d) else 1,
        weight_bits=layer.hardware_weight_bits,
        activation_bits=activations.bits,
        signed=activations.signed,
        vectors=vectors,
        tile=tile,
    )


def plan_matrix(
    name: str,
    *,
    rows: int,
    shape: tuple[int, ...],
    groups: int = 1,
    weight_bits: int,
    activation_bits: int,
    signed: bool,
    vectors: int,
    tile: TileParameters,
) -> LayerPlan:
    """Split a matrix product into jobs. ``plan_layer`` calls this with the sizes of a layer.

    ``rows`` are the weights of one output, ``shape`` is the layer's output without N, whose first
    axis are the outputs of all groups, and ``weight_bits`` are those of the tile.
    """
    row_blocks = math.ceil(rows / tile.rows)
    chunk = tile.vectors
    if min(row_blocks, tile.row_blocks) > 1:
        # Sums wait between the row blocks of a job.
        chunk = min(chunk, tile.partial_sums)
    jobs = _Jobs(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        signed=signed,
        parts=tuple(_output_blocks(shape[0], groups, rows, weight_bits, tile)),
        vectors=range(0, vectors, chunk),
        blocks=range(0, row_blocks, tile.row_blocks),
    )
    return LayerPlan(
        layer=name,
        tile=tile,
        rows=rows,
        groups=groups,
        shape=shape,
        vectors=vectors,
        jobs=jobs,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Jobs(Sequence[JobPlan]):
    """Jobs of a layer, each made where it is taken: there are many where there are many images."""

    weight_bits: int
    activation_bits: int
    signed: bool
    parts: tuple[tuple[slice, slice], ...]
    """Outputs and groups of the blocks of outputs."""
    vectors: range
    """First vectors of the chunks."""
    blocks: range
    """First row blocks."""

    def __len__(self) -> int:
        return len(self.parts) * len(self.vectors) * len(self.blocks)

    @overload
    def __getitem__(self, place: int) -> JobPlan: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[JobPlan, ...]: ...

    def __getitem__(self, place: int | slice) -> JobPlan | tuple[JobPlan, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(len(self))[place])
        chunk, block = divmod(range(len(self))[place], len(self.blocks))
        part, chunk = divmod(chunk, len(self.vectors))
        outputs, groups = self.parts[part]
        return JobPlan(
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            signed=self.signed,
            outputs=outputs,
            groups=groups,
            vectors=_step(self.vectors, chunk),
            blocks=_step(self.blocks, block),
        )


def _step(steps: range, place: int) -> slice:
    """Return a step of a range, the last of which ends where the range does."""
    return slice(steps[place], min(steps[place] + steps.step, steps.stop))


def _output_blocks(
    outputs: int, groups: int, rows: int, weight_bits: int, tile: TileParameters
) -> Iterator[tuple[slice, slice]]:
    """Yield the blocks of outputs that are computed in parallel, with their groups."""
    width = tile.outputs(weight_bits)
    of_group = outputs // groups
    together = min(width // of_group, tile.rows // rows)
    if together >= 1:
        for first in range(0, groups, together):
            last = min(first + together, groups)
            yield slice(first * of_group, last * of_group), slice(first, last)
        return
    for group in range(groups):
        end = (group + 1) * of_group
        for output in range(group * of_group, end, width):
            yield slice(output, min(output + width, end)), slice(group, group + 1)


def operands(
    network: Network, name: str, layer_input: Array
) -> tuple[Array | WindowMatrix, np.ndarray]:
    """Return the operands of a matrix layer as two matrices whose product is the layer's result.

    Takes the layer's input, (N, C, H, W) or (N, I), and returns activations (vectors, rows of all
    groups) and weights (rows, outputs). Of a convolution the activations are formed where a part
    of them is taken: all of them can be larger than the memory.
    """
    layer = _matrix_layer(network, name)
    expected = network.shapes[layer.input]
    if layer_input.shape[1:] != expected:
        raise MappingError(
            f"{name}: its input has shape {layer_input.shape}, it must be (N, "
            f"{', '.join(map(str, expected))})"
        )
    if isinstance(layer, Conv2d):
        windows = WindowMatrix(
            layer_input, layer.kernel, layer.stride, layer.padding, layer.dilation
        )
        return windows, layer.weight_matrix
    return layer_input, layer.weight_matrix


def weight_block(plan: LayerPlan, job: JobPlan, block: int, weights: np.ndarray) -> np.ndarray:
    """Return the weights (R, C/kw) of one row block from a layer's weights (rows, outputs)."""
    groups = job.groups.stop - job.groups.start
    parts = np.split(weights[:, job.outputs], groups, axis=1)
    rows, columns = plan.rows, parts[0].shape[1]
    diagonal = np.zeros((groups * rows, groups * columns), dtype=weights.dtype)
    for place, part in enumerate(parts):
        diagonal[place * rows :, place * columns :][:rows, :columns] = part
    part = diagonal[_block_rows(plan, job, block)]
    return _padded(part, (plan.tile.rows, plan.tile.columns // job.weight_bits))


def activation_block(
    plan: LayerPlan, job: JobPlan, block: int, matrix: Array | WindowMatrix
) -> np.ndarray:
    """Return the activations (V, R) of one row block from a layer's vectors (vectors, rows of all
    groups).
    """
    rows = _block_rows(plan, job, block)
    first, end = job.groups.start * plan.rows, job.groups.stop * plan.rows
    part = matrix[job.vectors, first + rows.start : min(first + rows.stop, end)]
    return _padded(part, (job.vector_count, plan.tile.rows))


def assemble(plan: LayerPlan, results: Iterable[np.ndarray]) -> np.ndarray:
    """Combine the results of all jobs into the result of the layer.

    Takes one (V, C/kw) array a job, in the plan's order, and returns int64 (N, O, OH, OW) or
    (N, O): the layer's accumulators without its bias.
    """
    total = np.zeros((plan.outputs, plan.vectors), dtype=np.int64)
    for job, result in zip(plan.jobs, results, strict=True):
        expected = (job.vector_count, plan.tile.columns // job.weight_bits)
        if result.shape != expected:
            raise MappingError(
                f"{plan.layer}: a job's results have shape {result.shape}, they must be {expected}"
            )
        useful = job.outputs.stop - job.outputs.start
        total[job.outputs, job.vectors] += result[:, :useful].T
    per_image = plan.shape[1:]
    images = plan.vectors // math.prod(per_image)
    return total.reshape(plan.outputs, images, *per_image).swapaxes(0, 1)


def _matrix_layer(network: Network, name: str) -> MatrixLayer:
    for layer in network.matrix_layers:
        if layer.name == name:
            return layer
    layers = ", ".join(layer.name for layer in network.matrix_layers)
    raise MappingError(f"{name!r} is no convolution or linear layer; there are: {layers}")


def _block_rows(plan: LayerPlan, job: JobPlan, block: int) -> slice:
    if not 0 <= block < job.row_blocks:
        raise IndexError(f"row block {block} of {job.row_blocks}")
    first = (job.blocks.start + block) * plan.tile.rows
    return slice(first, first + plan.tile.rows)


def _padded(part: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    padded = np.zeros(shape, dtype=part.dtype)
    padded[: part.shape[0], : part.shape[1]] = part
    return padded
