"""Timeline: the cycles of a layer on a platform, event by event.

The closed formulas of :mod:`adq.golden.platform.planning.cycles` follow from it where jobs are long
enough.
Here every wait is there: for weights, for room in the accumulator memory, for parameters, and for
the plane writer. What is not there are waits for the bus, and for banks of the plane memory: of
words of a skip connection that lie in the bank which the walker fetches from, and, where there are
several tiles, of any two accesses to a bank at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adq.golden.platform.checks import row_blocks
from adq.golden.platform.planning.shares import Share, shares, steps_to
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters

TABLE_STAGES = 3
"""Registers that a result passes from its read to the plane writer where a table takes the place of
requantizers: sums, operands and the pool."""


@dataclass(frozen=True)
class _Step:
    """Results that requantizers take at a time."""

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

    The weights of the first two blocks are there, and all others as soon as there is room. No bank
    of the plane memory is asked for by two at once, and raw results of several tiles do not wait
    for each other.
    """
    units = [
        _Unit(layer, platform, share) for share in shares(layer, platform) if share.works
    ]  # fmt: skip
    if layer.stacked:
        units = [unit for unit in units if unit.share.place == 0]
    records = _Records(layer, platform)
    for group in range(max(len(unit.share.outputs) for unit in units)):
        records.send(group, units)
        for unit in units:
            if group < len(unit.share.outputs):
                unit.run(group)
    return max(tail.end for unit in units for tail in unit.tails)


class _Unit:
    """A row of tiles, from its walker to its drains. Units that share row blocks count as one."""

    def __init__(self, layer: Layer, platform: PlatformParameters, share: Share):
        self.layer, self.platform, self.share = layer, platform, share
        p = platform
        self.chunks = share.chunks(layer, p)
        start = p.start_latency
        if p.units > 1:
            seek = steps_to(share.first, layer.pooled)
            walk = max(seek, p.stack - 1 if layer.stacked else 0) + 1
        else:
            seek = walk = 0
        self.last = start + p.walk_latency + walk - 1
        """Cycle in which the last plane so far was fetched."""
        self.taken = self.last - 1
        """Cycle in which the last vector of the block before was taken."""
        self.port = 0
        self.freed: list[int] = []
        """Cycles from which the banks of blocks may load again."""
        self.free: list[int] = []
        """Cycles from which the halves of jobs are free again."""
        order = start + seek + (1 if p.units > 1 else 0)
        self.tails = [
            _Tail(layer, p, start, order)
            for column in range(p.tile_columns)
            if share.outputs[0][column]
        ]
        self.steps = [_steps(layer, p, share, column) for column in range(len(self.tails))]

    def run(self, group: int) -> None:
        """Run the jobs of a group."""
        p, layer = self.platform, self.layer
        stack = p.stack if layer.stacked else 1
        rounds = -(-row_blocks(layer, p.rows) // stack)
        for windows in self.chunks:
            job = len(self.free)
            for block in range(rounds):
                self.block(
                    windows * layer.window, self.free[job - 2] if not block and job > 1 else 0
                )
            latency = p.fetch_latency + p.tile.latency(layer.weight_bits) + p.store_latency
            latency += p.adder_latency if layer.stacked else 0
            # Results of a job are read before the job after the next one begins.
            taken = [
                tail.read_job(steps, self.last + latency)
                for tail, steps, outputs in zip(
                    self.tails, self.steps, self.share.outputs[group], strict=False
                )
                if outputs
            ]
            self.free.append(max(taken) + p.free_latency)

    def block(self, vectors: int, room: int) -> None:
        """Fetch the planes of a row block, whose job has room from a cycle on."""
        p, planes = self.platform, self.layer.source_planes
        least = p.stack if self.layer.stacked else 1
        before = self.last
        first = max(before + 1, room)
        if len(self.freed) >= 2:
            self.port = max(self.port, self.freed[-2]) + p.tile.weight_beats
            first = max(first, self.port - 1 + p.tile.store_latency)
        # A unit of a stack steps to the next block in `least` cycles.
        if vectors == 1:
            self.taken = max(before, self.taken + least)
            self.last = max(first, self.taken + 1) + planes - 1
        else:
            self.taken = max(first + (vectors - 1) * planes - 1, self.taken + least)
            self.last = self.taken + planes
        self.freed.append(self.last + p.block_latency)


class _Records:
    """Records of the parameters, which come one a cycle while their drains have room."""

    def __init__(self, layer: Layer, platform: PlatformParameters):
        self.layer, self.platform = layer, platform
        self.port = platform.start_latency

    def send(self, group: int, units: Sequence[_Unit]) -> None:
        """Send the records of a group of outputs, part by part and column by column."""
        for part in range(self.layer.split):
            some = [
                unit
                for unit in units
                if unit.share.part == part and group < len(unit.share.outputs)
            ]
            for column in range(self.platform.tile_columns if some else 0):
                count = some[0].share.outputs[group][column]
                if count:
                    tails = [unit.tails[column] for unit in some]
                    room = max(tail.room for tail in tails)
                    self.port = max(self.port, room) + count
                    for tail in tails:
                        tail.loaded.append(self.port + 1)


class _Tail:
    """Stages behind the accumulator memory."""

    def __init__(self, layer: Layer, platform: PlatformParameters, start: int, order: int):
        self.layer = layer
        self.platform = platform
        self.order = order
        """Cycle from which the order of results counts."""
        self.depth = TABLE_STAGES if layer.mode == Mode.TABLE else platform.result_stages
        self.stages = [start] * (self.depth + 1)
        """Cycle in which the step before entered each register, and in which it left the last."""
        self.sent = [0, 0]
        """Last cycles in which the two pixels before were written."""
        self.group_freed: list[int] = []
        self.loaded: list[int] = []
        """Cycles from which the parameters of groups can be read."""
        self.table = start + 1 - (-(2 << layer.source_planes) // 16)
        """Cycle from which a table can be read."""
        self.end = 0

    @property
    def room(self) -> int:
        """Return the cycle from which there is room for the parameters of the next group."""
        group = len(self.loaded)
        return self.group_freed[group - 2] if group >= 2 else 0

    def read_job(self, steps: Iterator[_Step], finished: int) -> int:
        """Read the sums of a job, and return the cycle in which the last of them leave."""
        while True:
            step = next(steps)
            taken = self.read(step, finished)
            if step.ends_job:
                return taken

    def read(self, step: _Step, finished: int) -> int:
        """Take a step, and return the cycle in which its sums leave the accumulator memory."""
        before = self.stages
        now: list[int] = []
        table = self.layer.mode == Mode.TABLE
        for stage in range(self.depth):
            entered = max(before[stage] + 1, before[stage + 1])
            if stage == 0:
                entered = max(entered, finished, self.order + 2) + step.asks - 1
            else:
                entered = max(entered, now[-1] + 1)
            if stage == 1 and not table:
                entered = max(entered, self.loaded[step.group])
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


def _steps(layer: Layer, p: PlatformParameters, share: Share, column: int) -> Iterator[_Step]:
    """Yield the steps of a column of a unit."""
    lanes = p.tile.outputs(layer.weight_bits)
    height, width = layer.pooled
    for group, columns in enumerate(share.outputs):
        outputs = columns[column]
        begins = ((group * layer.split + share.part) * p.tile_columns + column) * lanes
        slices = -(-outputs // p.requantizers)
        window = share.first
        for chunk in share.chunks(layer, p) if outputs else ():
            for place in range(chunk):
                top, left = divmod(window % (height * width), width)
                first = left * layer.target_pitch + layer.target_channel + begins
                words = (first + outputs - 1) // p.rows - first // p.rows + 1
                window += 1
                for number in range(slices):
                    count = min(p.requantizers, outputs - number * p.requantizers)
                    for pixel in range(layer.window):
                        down, right = divmod(pixel, layer.pool_width)
                        row = top * layer.pool_stride_y - layer.pool_padding_y + down
                        across = left * layer.pool_stride_x - layer.pool_padding_x + right
                        inside = 0 <= row < layer.height and 0 <= across < layer.width
                        asks = 1
                        if layer.skip and inside:
                            skip = across * layer.skip_pitch + layer.skip_channel
                            skip += begins + number * p.requantizers
                            asks = (skip + count - 1) // p.rows - skip // p.rows + 1
                            asks *= layer.skip_planes
                        last = pixel == layer.window - 1
                        ends_window = last and number == slices - 1
                        yield _Step(
                            group=group,
                            asks=asks,
                            count=count,
                            last_pixel=last,
                            writes=words * layer.target_planes if ends_window else 0,
                            ends_job=ends_window and place == chunk - 1,
                            ends_group=ends_window and window == share.first + share.windows,
                        )
