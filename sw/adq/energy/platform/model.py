"""Energy of a network on a platform, layer by layer and block by block."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from adq.cost.work import LayerWork
from adq.energy.coefficients import Coefficients
from adq.energy.memory.memories import Sram, nearest_sram, sram_of
from adq.energy.network_energy import LayerEnergy as TileEnergy
from adq.energy.network_energy import NetworkEnergy
from adq.energy.platform.blocks import PlatformBlocks
from adq.energy.workload import Density, architecture_features
from adq.golden.platform.accesses import Accesses, layer_accesses
from adq.golden.platform.emission import emit
from adq.golden.platform.planning.planner import Plan, PlannedStep
from adq.golden.platform.planning.steps import Step
from adq.rtl.platform.accumulator_memory import sum_memories
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["PARTS", "PlatformEnergy", "StepEnergy", "platform_energy"]

PARTS = (*("array", "loads", "partial sums", "requantizers", "activations", "weights", "control"),)
"""Where energy goes. ``loads`` are weights into tiles, ``weights`` their buffers, ``activations``
the plane memory with what reads and writes it."""

ELSEWHERE = ("feeder",)
"""Blocks of the tile that a plane tile has not: planes come out of the aligner."""

DENSITY = 0.5
"""Share of activations that are not zero, where it is not known."""

RECORD_BITS = 128
"""Bits of an access to a table."""

BUFFER = (16384, 128)
"""Bytes and bits of a word of a weight buffer's memory."""

BANK = (8192, 64)
"""Bytes and bits of a word of a bank of the plane memory."""


@dataclass(frozen=True)
class StepEnergy:
    """Energy of a step an image, in pJ, by ``PARTS``."""

    node: str
    weight_bits: int
    planes: int
    pj: Mapping[str, float]
    macs: int
    """Multiply-accumulates of an image."""
    cycles: float
    """Cycles of an image, by the formulas."""
    bus_bytes: float
    """Weights and parameters that come over the bus, an image."""
    accesses: Mapping[str, float]
    """Accesses of an image, by the names of :class:`adq.golden.platform.accesses.Accesses`."""

    @property
    def total(self) -> float:
        """Energy of all parts, in pJ."""
        return sum(self.pj.values())


@dataclass(frozen=True)
class PlatformEnergy:
    """Energy of a network an image."""

    name: str
    steps: tuple[StepEnergy, ...]
    cycles: float
    """Cycles of an image, in the mean of a pass."""
    image_bytes: float
    """An image, over the bus."""

    def part(self, name: str) -> float:
        """Return the energy of a part, in pJ."""
        return sum(step.pj[name] for step in self.steps)

    @property
    def total(self) -> float:
        """Energy of all parts, in pJ."""
        return sum(step.total for step in self.steps)

    @property
    def array(self) -> float:
        """Energy of the array alone, in pJ."""
        return self.part("array")

    @property
    def bus_bytes(self) -> float:
        """Bytes over the bus, an image."""
        return self.image_bytes + sum(step.bus_bytes for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            **asdict(self),
            "total_pj": {name: self.part(name) for name in PARTS} | {"all": self.total},
            "bus_bytes": self.bus_bytes,
        }


@dataclass(frozen=True)
class Memories:
    """Energy of memories of a platform, in pJ."""

    bank: Sram
    buffer: Sram
    sums: Sram
    table: Sram

    @classmethod
    def of(cls, platform: PlatformParameters) -> "Memories":
        """Return those of the table that are nearest; see ``docs/platform.md``."""
        return cls(
            bank=sram_of(*BANK, ports="1R1W"),
            buffer=sram_of(*BUFFER, ports="1RW"),
            sums=nearest_sram(
                platform.accumulator_words, ports="1RW", width=_widest_sums(platform)
            ),
            table=sram_of(8192, RECORD_BITS, ports="1RW"),
        )


def _widest_sums(platform: PlatformParameters) -> int:
    """Return the bits of a word of the widest memory of an accumulator memory."""
    return max(len(lanes) * (high - low) for _, _, lanes, low, high in sum_memories(platform))


def platform_energy(
    made: Plan,
    tile: Coefficients,
    blocks: PlatformBlocks,
    *,
    name: str,
    tiles: Mapping[str, TileEnergy] | None = None,
    densities: Mapping[str, float] | None = None,
) -> PlatformEnergy:
    """Return the energy of a planned network, without leakage and without glitches.

    Parameters
    ----------
    tile
        Coefficients of a tile of the platform's size.
    tiles
        Energy of nodes on the tile by their operands; others are told by random words.
    densities
        Share of what each node reads that is not zero, where it is known.

    """
    program = emit(made, made.batch)
    memories = Memories.of(made.platform)
    found: list[StepEnergy] = []
    counts = Counter(planned.step.node for planned in made.steps)
    for index, planned in zip(program.notes["layers"], made.steps, strict=True):
        layer = program.descriptor(int(index))
        assert isinstance(layer, Layer)
        step = planned.step
        if not step.weight.any():
            layer = replace(layer, accumulator_bits=_most_bits(step, layer, made.platform))
        accesses = layer_accesses(layer, made.platform)
        known = (tiles or {}).get(step.node) if counts[step.node] == 1 else None
        if step.groups > 1:
            known = None
        array, load = _of_array(planned, layer, tile, known, densities or {})
        first = step.source.buffer is made.lowered.input.buffer and not found
        written = made.load_words if first else 0
        found.append(
            _step_energy(
                planned, layer, accesses, blocks, memories, made.platform, array, load, written
            )
        )
    image_bytes = made.load_words * made.platform.rows / 8
    return PlatformEnergy(name, tuple(found), made.cycles_per_image, image_bytes)


def _most_bits(step: Step, layer: Layer, platform: PlatformParameters) -> int:
    """Return the bits of an accumulator that holds the sums of any weights, which are symmetric."""
    inputs = math.prod(step.weight.shape[1:])
    largest = (1 << layer.weight_bits - 1) - 1
    most: int = inputs * largest * ((1 << layer.source_planes) - 1)
    return min(most.bit_length() + 1, platform.accumulator_bits)


def _of_array(
    planned: PlannedStep,
    layer: Layer,
    tile: Coefficients,
    known: TileEnergy | None,
    densities: Mapping[str, float],
) -> tuple[float, float]:
    """Return the energy of computing an image, and that of loading a weight block, in pJ."""
    if known is None:
        step = planned.step
        rows = step.rows
        weights = step.weight
        set_bits = _share_of_bits(weights, layer.weight_bits) / step.groups
        work = LayerWork(
            name=step.node,
            channels=step.outputs,
            macs=_macs(step, layer),
            inputs=0,
            weights=rows * step.outputs,
            weight_bits=layer.weight_bits,
            activation_bits=layer.source_planes,
        )
        density = Density(densities.get(step.node, DENSITY), set_bits)
        features = architecture_features(
            [work], tile.tile, densities=[density], images=1, signed_images=False
        )
        known = NetworkEnergy.of("", features, tile, "").layers[0]
    compute = sum(pj for block, pj in known.blocks_pj.items() if block not in ELSEWHERE)
    load = sum(known.energy.load.values()) / known.loads / 1000
    return compute, load


def _macs(step: Step, layer: Layer) -> int:
    """Return the multiply-accumulates of an image."""
    return layer.windows * layer.window // layer.images * step.rows * step.outputs


def _share_of_bits(weights: np.ndarray, bits: int) -> float:
    """Return the share of the bits of weights that is set; half where all are 0, which stands for
    weights that are not known.
    """
    if not weights.any():
        return 0.5
    unsigned = np.asarray(weights, np.int64) & ((1 << bits) - 1)
    return float(sum((unsigned >> bit & 1).mean() for bit in range(bits)) / bits)


def _step_energy(
    planned: PlannedStep,
    layer: Layer,
    accesses: Accesses,
    blocks: PlatformBlocks,
    memories: Memories,
    platform: PlatformParameters,
    array: float,
    load: float,
    image_words: int,
) -> StepEnergy:
    a = accesses
    images = planned.images
    cycles = planned.cycles.cycles
    measured = blocks.measured
    wide = platform.rows / measured.rows
    lanes = platform.columns / measured.columns
    slices = platform.requantizers / measured.requantizers
    row_units = platform.clusters * (1 if layer.stacked else platform.stack)
    columns = row_units * platform.tile_columns
    # The drains of the others have no results: where tiles are stacked, sums are stored once.
    others = platform.tiles - columns

    def of(block: str, *, times: float = 1.0, idle: float = 1.0, **counts: float) -> float:
        """Return the pJ of a block's accesses, ``idle`` of its kind running all the time."""
        fj = blocks.blocks[block].fj
        spent = times * sum(fj[term] * count for term, count in counts.items())
        return (spent + fj["cycles"] * cycles * idle) / 1000

    def bits(memory: Sram, read: float, written: float) -> float:
        """Return the pJ of bits of a memory."""
        return (read * memory.read_pj + written * memory.write_pj) / memory.width

    accumulators = of(
        "accumulators",
        idle=platform.tiles * lanes,
        stores=a.stores * lanes,
        stored_bits=a.stored_bits,
        drained_bits=a.drained_bits,
    )
    if platform.stack > 1:
        adders = platform.clusters * platform.tile_columns * lanes
        stacked = a.stores * lanes if layer.stacked else 0
        accumulators += of("stack adder", idle=adders, stores=stacked, stack_bits=a.stack_bits)
    sums = bits(memories.sums, a.loaded_bits + a.drained_bits, a.stored_bits - a.kept_bits)
    requantizers = (
        of(
            "requantizer",
            idle=columns * platform.requantizers,
            lane_results=a.results,
            lane_skips=a.skips,
            lane_compared=a.compared,
        )
        + of(
            "stages of the drain",
            idle=columns * slices,
            results=a.results,
            compared=a.compared,
            skips=a.skips,
        )
        + of("order of results", idle=columns, steps=a.steps)
        + of(
            "parameter memory",
            times=slices,
            idle=platform.tiles * slices,
            records=a.records / slices,
            parameter_reads=a.parameter_reads,
        )
        + of("table's ports", idle=columns, lookups=a.lookups)
        + of("drain without results", idle=others * slices)
        + bits(memories.table, a.lookups * RECORD_BITS, 0)
    )
    word = platform.rows
    activations = (
        of("aligner", times=wide, idle=platform.clusters * platform.stack * wide, planes=a.planes)
        + of(
            "plane memory's ports",
            times=wide,
            idle=wide,
            plane_reads=a.plane_reads,
            skip_reads=a.skip_reads,
            plane_writes=a.plane_writes,
        )
        + of("skip reader", times=wide, idle=columns * wide, skip_reads=a.skip_reads)
        + of(
            "plane writer",
            idle=columns * wide,
            plane_writes=a.plane_writes * wide,
            written=a.written,
        )
        + bits(
            memories.bank,
            (a.plane_reads + a.skip_reads) * word,
            (a.plane_writes + image_words * images) * word,
        )
    )
    block_bits = 8 * platform.block_bytes
    control = of("walker", idle=platform.clusters * platform.stack, planes=a.planes)
    control += of("conductor", layers=1)
    pj = {
        "array": array * images,
        "loads": load * a.block_loads,
        "partial sums": accumulators + sums,
        "requantizers": requantizers,
        "activations": activations,
        "weights": bits(memories.buffer, a.buffer_reads * block_bits, a.buffer_writes * block_bits),
        "control": control,
    }
    return StepEnergy(
        node=planned.step.node,
        weight_bits=layer.weight_bits,
        planes=layer.source_planes,
        pj={name: energy / images for name, energy in pj.items()},
        macs=_macs(planned.step, layer),
        cycles=cycles / images,
        bus_bytes=a.bus_bytes / images,
        accesses={name: count / images for name, count in asdict(a).items()},
    )
