"""Cycles of a step on a platform, and where the bit products go that it does not do.

::

    block = max(sum over vectors of planes, weight_beats, half of both and 4)
    job   = max(rounds * block, drain of the job before)
    step  = max(ceil(output blocks / (columns * split)) * sum of jobs, bus) + drain + fill

``rounds`` are the row blocks, divided by the tiles on top of each other where these share them.
``docs/platform.md`` explains each term. On one tile the formulas are exact where planes take longer
than weights and a job longer than the drain of the one before;
:mod:`adq.golden.platform.planning.timeline` is exact elsewhere, too.
"""

import math
from dataclasses import dataclass

from adq.golden.platform.planning.shares import steps_to
from adq.golden.platform.planning.steps import Step
from adq.rtl.platform.descriptors import Mode
from adq.rtl.platform.parameters import PlatformParameters

STACKED_COST = 0.06
"""Share of a step's cycles that sharing row blocks may cost."""

PARAMETER_BYTES = 16
"""Bytes of the parameters of an output."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a step is spread over a platform, for a number of images."""

    stacked: bool
    """True if tiles on top of each other share the row blocks of an output."""
    split: int
    """Parts of the platform that compute different outputs of the same pixels."""
    parts: int
    """Parts of the platform that compute different pixels."""
    rounds: int
    """Row blocks that a tile takes one after another."""
    groups: int
    """Groups of output blocks, one after another."""
    chunks: tuple[int, ...]
    """Vectors of each job of a group, in the part with most of them."""
    windows: int
    """Pooling windows of a part, of all images."""
    weight_loads: int
    """How often the weights of a group are fetched."""


@dataclass(frozen=True, kw_only=True)
class StepCycles:
    """Cycles of a step for all images of a pass, and its bit products."""

    schedule: Schedule
    compute: int
    """Cycles of all jobs."""
    bus: int
    """Cycles in which the bus fetches weights and parameters."""
    fill: int
    """Cycles before the first plane and behind the last job."""
    bus_bytes: int
    useful: int
    """Products of a trained weight bit and an activation bit."""
    lost: dict[str, int]
    """Bit products that were not done, by cause."""

    @property
    def cycles(self) -> int:
        """From the start of the step to that of the next one."""
        return max(self.compute, self.bus) + self.fill


def best(step: Step, platform: PlatformParameters, images: int) -> StepCycles:
    """Return the cycles of a step with the schedule that takes fewest.

    Where tiles on top of each other share row blocks, a sum is stored once for all of them, which
    saves energy: they do, unless ``STACKED_COST`` more cycles would be spent.

    The step's pooling window must fit into half of the accumulator memory.
    """
    found: list[StepCycles] = []
    for stacked in (True, False) if platform.stack > 1 else (False,):
        units = platform.clusters * (1 if stacked else platform.stack)
        splits = [each for each in range(1, min(units, 255) + 1) if units % each == 0]
        choices = [
            step_cycles(step, platform, images, stacked=stacked, split=split) for split in splits
        ]
        found.append(min(choices, key=lambda each: each.cycles))
    first, last = found[0], found[-1]
    return first if first.cycles <= (1 + STACKED_COST) * last.cycles else last


def step_cycles(
    step: Step, platform: PlatformParameters, images: int, *, stacked: bool, split: int
) -> StepCycles:
    """Return the cycles of a step with a given schedule."""
    schedule = _schedule(step, platform, images, stacked, split)
    planes = step.source.buffer.layout.planes
    compute = waits = drains = before = 0
    for group in range(schedule.groups):
        for vectors in schedule.chunks:
            blocks = schedule.rounds * platform.block_cycles(vectors, planes)
            job = platform.job_cycles(schedule.rounds, vectors, planes, before)
            compute += job
            waits += blocks - schedule.rounds * vectors * planes
            drains += job - blocks
            before = _drain(step, platform, schedule, group, vectors).cycles
    last = _drain(step, platform, schedule, schedule.groups - 1, schedule.chunks[-1])
    weight_bytes = _group_bytes(step, platform, schedule) * schedule.groups
    bus_bytes = weight_bytes * schedule.weight_loads + PARAMETER_BYTES * step.outputs
    bus = platform.bus_cycles(bus_bytes)
    fill = platform.fill_cycles(step.weight_bits) + last.alone
    fill += _spread_cycles(step, platform, schedule)
    array = platform.capacity
    busy = schedule.groups * schedule.rounds * sum(schedule.chunks) * planes
    products, useful = _products(step, platform, images)
    lost = {
        **products,
        "tiles": busy * array - useful - sum(products.values()),
        "weights": waits * array,
        "drains": drains * array,
        "bus": max(0, bus - compute) * array,
        "fill": fill * array,
    }
    return StepCycles(
        schedule=schedule,
        compute=compute,
        bus=bus,
        fill=fill,
        bus_bytes=bus_bytes,
        useful=useful,
        lost=lost,
    )


@dataclass(frozen=True)
class _Drain:
    """Drain of a job's results from a column of tiles."""

    cycles: int
    """Cycles that it takes where others come before and behind."""
    alone: int
    """Cycles from its first read to its last write, beyond the latency of the pipeline."""


def _drain(
    step: Step, platform: PlatformParameters, schedule: Schedule, group: int, vectors: int
) -> _Drain:
    """Return the cycles of a drain: requantizers read sums, and a writer writes words."""
    lanes = platform.columns // step.weight_bits
    done = group * lanes * platform.tile_columns * schedule.split
    outputs = min(lanes, step.outputs - done)
    reads = -(-outputs // platform.requantizers)
    if step.mode == Mode.RAW:
        # Results of all tiles leave one by one, and no word is written.
        results = min(lanes * platform.tile_columns * schedule.split, step.outputs - done)
        results *= vectors * schedule.parts
        return _Drain(results, results - 2)
    if step.mode == Mode.TABLE:
        reads = outputs + 2 * reads
    if step.skip is not None:
        reads *= step.skip.buffer.layout.planes
    pixels = math.prod(step.pool.kernel)
    windows, reads = vectors // pixels, reads * pixels
    assert step.target is not None
    layout = step.target.buffer.layout
    first = (step.target.channel + done) % layout.word_bits
    writes = ((first + outputs - 1) // layout.word_bits + 1) * layout.planes
    slower = max(reads, writes)
    return _Drain(windows * slower, (windows - 1) * slower + reads + writes)


def _spread_cycles(step: Step, platform: PlatformParameters, schedule: Schedule) -> int:
    """Cycles in which units get to their first windows and row blocks, and sums are added."""
    if platform.units == 1:
        return 0
    parts = range(schedule.parts)
    steps = max(steps_to(part * schedule.windows, step.pooled) for part in parts)
    if not schedule.stacked:
        return 1 + steps
    return 1 + max(steps, platform.stack - 1) + platform.adder_latency


def _schedule(
    step: Step, platform: PlatformParameters, images: int, stacked: bool, split: int
) -> Schedule:
    units = platform.clusters * (1 if stacked else platform.stack)
    parts = units // split
    window = math.prod(step.pool.kernel)
    windows = -(-images * math.prod(step.pooled) // parts)
    most = platform.accumulator_vectors // window
    chunks = [most * window] * (windows // most)
    if windows % most:
        chunks.append(windows % most * window)
    blocks = -(-step.outputs // (platform.columns // step.weight_bits))
    schedule = Schedule(
        stacked=stacked,
        split=split,
        parts=parts,
        rounds=-(-step.blocks // platform.stack) if stacked else step.blocks,
        groups=-(-blocks // (platform.tile_columns * split)),
        chunks=tuple(chunks),
        windows=windows,
        weight_loads=1,
    )
    column = _group_bytes(step, platform, schedule) // platform.tile_columns
    if column > 1024 * platform.weight_buffer_kib:
        return Schedule(**vars(schedule) | {"weight_loads": len(chunks)})
    return schedule


def _group_bytes(step: Step, platform: PlatformParameters, schedule: Schedule) -> int:
    """Bytes of the weights of a group of output blocks."""
    tiles = platform.tile_columns * schedule.split * (platform.stack if schedule.stacked else 1)
    return schedule.rounds * tiles * platform.block_bytes


def _products(step: Step, platform: PlatformParameters, images: int) -> tuple[dict[str, int], int]:
    """Bit products of the step's tiles that are lost inside of them, and those that are useful."""
    planes = step.source.buffer.layout.planes
    pixels = images * math.prod(step.shape)
    vectors = images * math.prod(step.pooled) * math.prod(step.pool.kernel)
    blocks = -(-step.outputs // (platform.columns // step.weight_bits))
    weights = step.weight.size
    tiles = blocks * step.blocks * platform.rows * platform.columns
    in_rows = blocks * step.rows * platform.columns
    done = min(pixels, vectors) * planes
    lost = {
        "sign": done * weights * (step.weight_bits - step.trained_bits),
        "rows": done * (tiles - in_rows),
        "columns": done * (in_rows - weights * step.weight_bits),
        "pooling": (vectors * planes - done) * tiles,
    }
    return lost, done * weights * step.trained_bits
