"""Timeline: the cycles of a layer on a platform of one tile, event by event.

The closed formulas of :mod:`adq.golden.platform.cycles` follow from it where jobs are long enough.
Here every wait is there: for weights, for room in the accumulator memory, for parameters, and for
the plane writer. What is not there are waits for the bus, and for words of a skip connection that
lie in the bank which the walker fetches from.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from adq.golden.platform.checks import row_blocks
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters

TABLE_STAGES = 3
"""Registers that a result passes from its read to the plane writer where a table takes the place of
requantizers: sums, operands and the pool."""


@dataclass(frozen=True)
class _Step:
    """Results that requantizers take at a time."""

    job: int
    group: int
    asks: int
    """Cycles in which its skip connection is read, or 1."""
    count: int
    """Outputs."""
    last_pixel: bool
    """The last one of its pooling window."""
    writes: int
    """Words that are written behind it; 0 but for the last slice of a window."""
    ends_job: bool
    ends_group: bool


def engine_cycles(layer: Layer, platform: PlatformParameters) -> int:
    """Return the cycles from taking a layer's descriptor to when the next one can be taken.

    The weights of the first two blocks are there, and all others as soon as there is room.
    """
    p = platform
    start = p.start_latency
    groups = -(-layer.outputs // p.tile.outputs(layer.weight_bits))
    size = p.accumulator_vectors // layer.window
    chunks = [
        min(size, layer.windows - first) * layer.window for first in range(0, layer.windows, size)
    ]
    jobs = chunks * groups
    finished: list[int] = []
    free: list[int] = []  # cycles from which the halves of jobs are free again
    tail = _Tail(layer, p, start)
    steps = _steps(layer, p, [chunk // layer.window for chunk in chunks], groups)

    blocks = row_blocks(layer, p.rows)
    freed: list[int] = []  # cycles from which the banks of blocks may load again
    port = 0
    last = start + p.walk_latency - 1
    for job, vectors in enumerate(jobs):
        for block in range(blocks):
            first = last + 1
            if len(freed) >= 2:
                port = max(port, freed[-2]) + p.tile.weight_beats
                first = max(first, port - 1 + p.tile.store_latency)
            if block == 0 and job >= 2:
                first = max(first, free[job - 2])
            last = first + vectors * layer.source_planes - 1
            freed.append(last + p.block_latency)
        latency = p.fetch_latency + p.tile.latency(layer.weight_bits) + p.store_latency
        finished.append(last + latency)
        # Results of a job are read before the job after the next one begins.
        while True:
            step = next(steps)
            taken = tail.read(step, finished[job])
            if step.ends_job:
                free.append(taken)
                break
    return tail.end


class _Tail:
    """Stages behind the accumulator memory."""

    def __init__(self, layer: Layer, platform: PlatformParameters, start: int):
        self.layer = layer
        self.platform = platform
        self.start = start
        self.depth = TABLE_STAGES if layer.mode == Mode.TABLE else platform.result_stages
        self.stages = [start] * (self.depth + 1)
        """Cycle in which the step before entered each register, and in which it left the last."""
        self.sent = [0, 0]
        """Last cycles in which the two pixels before were written."""
        self.outputs = layer.outputs
        self.port = start
        self.group_freed: list[int] = []
        self.loaded: list[int] = []
        self.table = start + 1 - (-(2 << layer.source_planes) // 16)
        """Cycle from which a table can be read."""
        self.end = 0

    def parameters(self, group: int) -> int:
        """Return the cycle from which the parameters of a group can be read."""
        while len(self.loaded) <= group:
            lanes = self.platform.tile.outputs(self.layer.weight_bits)
            count = min(lanes, self.outputs)
            self.outputs -= count
            before = self.group_freed[-2] if len(self.group_freed) >= 2 else 0
            self.port = max(self.port, before) + count
            self.loaded.append(self.port + 1)
        return self.loaded[group]

    def read(self, step: _Step, finished: int) -> int:
        """Take a step, and return the cycle in which its sums leave the accumulator memory."""
        before = self.stages
        now: list[int] = []
        table = self.layer.mode == Mode.TABLE
        for stage in range(self.depth):
            entered = max(before[stage] + 1, before[stage + 1])
            if stage == 0:
                entered = max(entered, finished, self.start + 2) + step.asks - 1
            else:
                entered = max(entered, now[-1] + 1)
            if stage == 1 and not table:
                entered = max(entered, self.parameters(step.group))
            if stage == 2 and table:  # entries are read one by one
                entered = max(entered, max(now[1] + 1, self.table) + step.count + 1)
            now.append(entered)
        if step.ends_group:
            self.group_freed.append(now[1] + 1)
        if self.layer.mode == Mode.RAW:
            now[-1] += step.count - 1
            now.append(now[-1])
            self.end = now[-1] + 2
        elif not step.last_pixel:
            now.append(now[-1] + 1)
        else:
            now.append(max(now[-1] + 1, before[-1] + 1, self.sent[0] + 1))
            if step.writes:
                self.sent = [self.sent[1], max(now[-1], self.sent[1]) + step.writes]
                self.end = self.sent[1] + self.platform.write_latency
        self.stages = now
        return now[1]


def _steps(layer: Layer, p: PlatformParameters, chunks: list[int], groups: int) -> Iterator[_Step]:
    """Yield the steps of a layer. ``chunks`` are the windows of each."""
    lanes = p.tile.outputs(layer.weight_bits)
    height, width = layer.pooled
    job = 0
    for group in range(groups):
        outputs = min(lanes, layer.outputs - group * lanes)
        slices = -(-outputs // p.requantizers)
        window = 0
        for chunk in chunks:
            for place in range(chunk):
                top, left = divmod(window % (height * width), width)
                first = left * layer.target_pitch + layer.target_channel + group * lanes
                words = (first + outputs - 1) // p.rows - first // p.rows + 1
                window += 1
                for number in range(slices):
                    count = min(p.requantizers, outputs - number * p.requantizers)
                    for pixel in range(layer.window):
                        down, right = divmod(pixel, layer.pool_width)
                        row = top * layer.pool_stride_y - layer.pool_padding_y + down
                        column = left * layer.pool_stride_x - layer.pool_padding_x + right
                        inside = 0 <= row < layer.height and 0 <= column < layer.width
                        asks = 1
                        if layer.skip and inside:
                            skip = column * layer.skip_pitch + layer.skip_channel
                            skip += group * lanes + number * p.requantizers
                            asks = (skip + count - 1) // p.rows - skip // p.rows + 1
                            asks *= layer.skip_planes
                        last = pixel == layer.window - 1
                        ends_window = last and number == slices - 1
                        yield _Step(
                            job=job,
                            group=group,
                            asks=asks,
                            count=count,
                            last_pixel=last,
                            writes=words * layer.target_planes if ends_window else 0,
                            ends_job=ends_window and place == chunk - 1,
                            ends_group=ends_window and window == layer.windows,
                        )
            job += 1
