"""Cost of a plan on its tile: cycles, and which share of the array's work is useful.

In every cycle the array could do R x C products of one weight bit and one activation bit. What of
this is lost, and to what, is counted plane by plane from the activations themselves, since the
tile passes over leading planes with no bit set.
"""

import dataclasses
import math

import numpy as np

from adq.golden.files.stored_arrays import Array, head
from adq.golden.mapping.im2col import WindowMatrix
from adq.golden.mapping.mapper import LayerPlan, MappingError, operands, plan_layer
from adq.golden.network import INPUT, Network
from adq.golden.samples import Samples
from adq.rtl.parameters import TileParameters

ELEMENTS = 2**21
"""Elements of the activations' matrix whose planes are counted at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerUse:
    """Cycles of a layer on a tile, and the array's bit products in them, each counted once."""

    layer: str
    weight_bits: int
    """k of the weights as trained."""
    tile_weight_bits: int
    """kw, the tile's width that holds them."""
    activation_bits: int
    rows: int
    outputs: int
    groups: int
    vectors: int
    jobs: int
    weight_loads: int
    cycles: int
    """From the first offer of jobs, weights and activations to the last result."""
    skipped_planes: int
    """Planes of vectors that cost no cycle, since they lead and have no bit set."""
    useful: int
    """Products of a trained weight bit and an activation bit."""
    lost_to_sign: int
    """Bit products of columns that repeat a weight's sign: kw is more than k."""
    lost_to_rows: int
    """Bit products of rows of the array that hold no weight."""
    lost_to_columns: int
    """Bit products of columns that hold no weight in a row that holds some."""
    lost_to_zeros: int
    """Bit products in cycles of vectors that are zero in all rows of a block."""
    lost_to_starts: int
    """In cycles between jobs."""
    lost_to_waits: int
    """In cycles that wait for weights, and in which the last results leave the pipeline."""

    @property
    def capacity(self) -> int:
        """Bit products that the array could do in all cycles."""
        return self.useful + sum(self.lost.values())

    @property
    def lost(self) -> dict[str, int]:
        """Bit products that were not done, by cause."""
        prefix = "lost_to_"
        return {
            field.name.removeprefix(prefix): getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name.startswith(prefix)
        }

    @property
    def utilization(self) -> float:
        """Share of the capacity that is useful."""
        return self.useful / self.capacity


def use_of_layer(network: Network, name: str, layer_input: Array, tile: TileParameters) -> LayerUse:
    """Count what a layer costs on a tile for the integers that it reads, (N, C, H, W) or (N, I).

    Raises
    ------
    adq.golden.mapping.mapper.MappingError
        The node is no matrix layer, or its input has another shape.

    """
    matrix, _ = operands(network, name, layer_input)
    plan = plan_layer(network, name, len(matrix), tile)
    layer, bits = network.matrix_layer(name), plan.jobs[0].activation_bits
    planes = _Planes(plan, matrix)
    sequence = []
    counts = dict.fromkeys(("useful", "sign", "rows", "columns", "zeros"), 0)
    for job in plan.jobs:
        groups = job.groups.stop - job.groups.start
        outputs = job.outputs.stop - job.outputs.start
        block_cycles = []
        for block in range(job.blocks.start, job.blocks.stop):
            done, zero = planes.of(job.groups, block, job.vectors)
            block_cycles.append(done + zero)  # a vector of zeros takes a cycle, too
            rows = min(groups * plan.rows - block * tile.rows, tile.rows)
            weights = rows * outputs // groups  # each row holds the outputs of its group
            counts["useful"] += done * weights * layer.weight_bits
            counts["sign"] += done * weights * (job.weight_bits - layer.weight_bits)
            counts["rows"] += done * (tile.rows - rows) * tile.columns
            counts["columns"] += done * (rows * tile.columns - weights * job.weight_bits)
            counts["zeros"] += zero * tile.rows * tile.columns
        sequence.append((job.weight_bits, block_cycles))
    cycles = tile.sequence_cycles(sequence)
    array = tile.rows * tile.columns
    starts = len(sequence) * (tile.start_latency - 1)
    busy = sum(sum(blocks) for _, blocks in sequence)
    all_planes = sum(job.vector_count * job.row_blocks * bits for job in plan.jobs)
    return LayerUse(
        layer=name,
        weight_bits=layer.weight_bits,
        tile_weight_bits=layer.hardware_weight_bits,
        activation_bits=bits,
        rows=plan.rows,
        outputs=plan.outputs,
        groups=plan.groups,
        vectors=plan.vectors,
        jobs=len(plan.jobs),
        weight_loads=plan.weight_loads,
        cycles=cycles,
        skipped_planes=all_planes - busy + counts["zeros"] // array,
        useful=counts["useful"],
        lost_to_sign=counts["sign"],
        lost_to_rows=counts["rows"],
        lost_to_columns=counts["columns"],
        lost_to_zeros=counts["zeros"],
        lost_to_starts=starts * array,
        lost_to_waits=(cycles - starts - busy) * array,
    )


def use_of_network(
    network: Network, samples: Samples, tile: TileParameters, images: int | None = None
) -> list[LayerUse]:
    """Count what the matrix layers cost on a tile for the first images of an artifact, or for all.

    Raises
    ------
    adq.golden.mapping.mapper.MappingError
        There are fewer images than asked for.

    """
    images = len(samples) if images is None else images
    if images > len(samples):
        raise MappingError(f"the artifact has {len(samples)} sample images, not {images}")
    tensors = {INPUT: samples.inputs, **samples.outputs}
    return [
        use_of_layer(network, layer.name, head(tensors[layer.input], images), tile)
        for layer in network.matrix_layers
    ]


class _Planes:
    """Planes left of every vector in a row block, without the leading ones that have no bit set."""

    def __init__(self, plan: LayerPlan, matrix: Array | WindowMatrix):
        self.plan = plan
        self.matrix = matrix
        self.starts = np.unique([job.vectors.start for job in plan.jobs])
        self.counts: dict[tuple[int, int], np.ndarray] = {}

    def of(self, groups: slice, block: int, vectors: slice) -> tuple[int, int]:
        """Count planes that are left, and vectors that have none.

        Jobs that differ in their outputs alone read the same vectors, which are counted once.
        """
        key = groups.start, block
        if key not in self.counts:
            self.counts[key] = self._count(groups, block)
        done, zero = self.counts[key][:, np.searchsorted(self.starts, vectors.start)].tolist()
        return done, zero

    def _count(self, groups: slice, block: int) -> np.ndarray:
        """Count planes left, and vectors that have none, int64 (2, chunks of vectors)."""
        rows, height = self.plan.rows, self.plan.tile.rows
        first = groups.start * rows + block * height
        last = min(first + height, groups.stop * rows)
        mask = (1 << self.plan.jobs[0].activation_bits) - 1
        counts = np.zeros((2, len(self.starts)), np.int64)
        of_image = math.prod(self.plan.shape[1:])
        step = max(1, ELEMENTS // (of_image * self.matrix.shape[1]))
        for image in range(0, self.plan.vectors // of_image, step):
            any_row = self._any_bit(range(first, last), slice(image, image + step))
            left = np.frexp((any_row.astype(np.int64) & mask).astype(np.float64))[1]  # bit length
            vectors = image * of_image + np.arange(len(left))
            chunks = np.searchsorted(self.starts, vectors, "right") - 1
            np.add.at(counts[0], chunks, left)
            np.add.at(counts[1], chunks, left == 0)
        return counts

    def _any_bit(self, rows: range, images: slice) -> np.ndarray:
        """Bits that are set in any of some rows, of each vector of some images; a row at a time of
        windows.
        """
        if not isinstance(self.matrix, WindowMatrix):
            part = self.matrix[images, rows.start : rows.stop]
            any_bit: np.ndarray = np.bitwise_or.reduce(part, axis=1)
            return any_bit
        bits = self.matrix.row(rows[0], images).copy()
        for row in rows[1:]:
            bits |= self.matrix.row(row, images)
        return bits.reshape(-1)
