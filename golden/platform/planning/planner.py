"""The planner: how many images at a time, what lies where, and how steps are spread over tiles.

Early layers have large tensors and little weight, late ones the reverse. So the steps fall into
segments, each with a power of two of images at a time, none smaller than that of the segment
before: the first segment runs several times for each time of the second, and so on. Tensors that
a later segment reads have room for the images of that segment.
"""

import dataclasses
import math
from dataclasses import dataclass

from adq.golden.network import Network
from adq.golden.platform.planning.cycles import StepCycles, best
from adq.golden.platform.planning.lowering import lower
from adq.golden.platform.planning.steps import Buffer, Lowered, PlanError, Step, View
from adq.rtl.platform.descriptors import Layer, Mode, When
from adq.rtl.platform.parameters import PlatformParameters

BATCH = 32
"""Images at a time in the last segment, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedStep:
    """A step, its images at a time, and its cycles for them."""

    step: Step
    images: int
    cycles: StepCycles


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A network on a platform."""

    platform: PlatformParameters
    lowered: Lowered
    steps: tuple[PlannedStep, ...]
    batch: int
    """Images of a pass of the whole program."""
    when: int
    """When images are loaded: ``EVERY_PASS``, or ``AHEAD`` into a second place."""
    memory_words: int
    """Words of the plane memory that are used at the same time."""
    load_words: int
    """Words of the plane memory of an image."""

    @property
    def cycles(self) -> int:
        """Cycles of a pass over ``batch`` images, with a memory that never waits."""
        total = 0
        first = self.steps[0].images
        load = self.load_cycles * first
        for images in dict.fromkeys(each.images for each in self.steps):
            some = [each.cycles for each in self.steps if each.images == images]
            cycles = sum(each.cycles for each in some)
            if images == first:
                bus = sum(each.bus for each in some) + load
                cycles = max(cycles, bus) if self.when == When.AHEAD else cycles + load
            total += cycles * (self.batch // images)
        return total

    @property
    def cycles_per_image(self) -> float:
        """Cycles of an image, in the mean of a pass."""
        return self.cycles / self.batch

    @property
    def load_cycles(self) -> int:
        """Cycles in which the bus brings an image."""
        return self.platform.bus_cycles(self.load_words * self.platform.rows // 8)

    @property
    def bus_bytes(self) -> int:
        """Bytes that the bus carries in a pass: weights, parameters and images."""
        steps = sum(
            each.cycles.bus_bytes * (self.batch // each.images) for each in self.steps
        )  # fmt: skip
        return steps + self.batch * self.load_words * self.platform.rows // 8

    @property
    def useful(self) -> int:
        """Useful bit products of a pass."""
        return sum(each.cycles.useful * (self.batch // each.images) for each in self.steps)

    @property
    def utilization(self) -> float:
        """Share of the bit products of all tiles in all cycles that is useful."""
        return self.useful / (self.cycles * self.platform.capacity)


def plan(network: Network, platform: PlatformParameters, *, batch: int = BATCH) -> Plan:
    """Plan a network on a platform, for at most ``batch`` images at a time.

    Raises
    ------
    PlanError
        The platform cannot run the network; the message says which node, why and what would fit.

    """
    if batch < 1:
        raise PlanError(f"a batch of {batch} images: it must be at least 1")
    lowered = lower(network, platform.rows)
    if not lowered.steps:
        raise PlanError(f"network {network.name}: it has no node that computes anything")
    for step in lowered.steps:
        _check(step, platform)
    largest = 1 << min(batch.bit_length() - 1, 15)
    ways = [(when, share) for when in (When.AHEAD, When.EVERY_PASS) for share in _SHARES]
    found: dict[tuple[int, float], Plan] = {}
    refused: PlanError | None = None
    for way in ways:
        try:
            found[way] = _planned(lowered, platform, largest, *way)
        except PlanError as error:
            refused = error
    if not found:
        assert refused is not None
        raise refused
    chosen = min(found, key=lambda way: found[way].cycles_per_image)
    # Addresses are kept in the buffers, which the last way has overwritten.
    return _planned(lowered, platform, largest, *chosen)


_SHARES = (1.0, 0.5, 0.25, 0.0)
"""Where tensors do not fit together, the earliest of those that have this share of the words of
the largest gets room for fewer images. Which share is best is tried."""


def _planned(
    lowered: Lowered, platform: PlatformParameters, batch: int, when: int, share: float
) -> Plan:
    images, used = _allocated(lowered, platform, batch, when, share)
    return Plan(
        platform=platform,
        lowered=lowered,
        steps=tuple(
            PlannedStep(step=step, images=count, cycles=best(step, platform, count))
            for step, count in zip(lowered.steps, images, strict=True)
        ),
        batch=images[-1],
        when=when,
        memory_words=used,
        load_words=lowered.input.buffer.layout.image_words,
    )


def _check(step: Step, platform: PlatformParameters) -> None:
    """Refuse a step that a descriptor or the platform cannot hold."""
    window = math.prod(step.pool.kernel)
    if window > platform.accumulator_vectors:
        raise PlanError(
            f"{step.node}: a pooling window of {window} pixels needs accumulator_vectors of "
            f"{window}, the platform has {platform.accumulator_vectors}"
        )
    if step.accumulator_bits > platform.accumulator_bits:
        raise PlanError(
            f"{step.node}: its accumulator needs {step.accumulator_bits} bits, the platform has "
            f"accumulator_bits of {platform.accumulator_bits}: use fewer bits in this layer, or a "
            "wider platform"
        )
    planes, most = step.source.buffer.layout.planes, platform.table_planes
    if step.mode == Mode.TABLE and planes > most:
        raise PlanError(
            f"{step.node}: a table of integers of {planes} bits: the platform takes up to {most}; "
            f"give what it reads {most} bits or fewer"
        )
    for name, value in geometry(step).items():
        field = next(each for each in dataclasses.fields(Layer) if each.name == name)
        most = field.metadata["most"]
        if value > most:
            raise PlanError(
                f"{step.node}: {name.replace('_', ' ')} of {value}: a descriptor holds at most "
                f"{most}; use a smaller one"
            )


def geometry(step: Step) -> dict[str, int]:
    """Return a step's sizes as fields of its descriptor."""
    source, (height, width) = step.source.buffer.layout, step.shape
    fields = {
        "source_height": source.height,
        "source_width": source.width,
        "source_pitch": source.pitch,
        "source_words": step.word_range[1],
        "height": height,
        "width": width,
        "outputs": step.outputs,
    }
    pairs = {
        "kernel_height kernel_width": step.kernel,
        "stride_y stride_x": step.stride,
        "padding_y padding_x": step.padding,
        "dilation_y dilation_x": step.dilation,
        "pool_height pool_width": step.pool.kernel,
        "pool_stride_y pool_stride_x": step.pool.stride,
        "pool_padding_y pool_padding_x": step.pool.padding,
    }
    for names, pair in pairs.items():
        fields |= dict(zip(names.split(), pair, strict=True))
    return fields


@dataclass(eq=False)
class _Life:
    """Steps between which a buffer is in use."""

    buffer: Buffer
    written: int
    """First step that writes it; -1 for the images."""
    read: int
    """Last step that reads or writes it."""
    first_writer_images: int
    """Images at a time of the first step that writes it."""
    users: list[int] = dataclasses.field(default_factory=list)
    """Steps that use it."""

    @property
    def last(self) -> int:
        """Last step that uses it."""
        return max(self.users, default=0)

    def overlaps(self, other: "_Life") -> bool:
        """Return whether both are in use at the same time."""
        return other.written <= self.read and self.written <= other.read


def _allocated(
    lowered: Lowered, platform: PlatformParameters, batch: int, when: int, share: float
) -> tuple[list[int], int]:
    """Choose images at a time of each step, and addresses; returns them and the words used."""
    images = [batch] * len(lowered.steps)
    while True:
        images = _merged(images, platform.loop_levels)
        lives = _lives(lowered, images, when)
        used, failed = _place(lives, platform.plane_memory_words)
        if failed is None:
            return images, used
        beside = [each for each in lives if each.overlaps(failed) and images[each.last] > 1]
        if not beside:
            least, _ = _place(lives, 2**62)
            kib = -(-least * platform.rows // 8192)
            raise PlanError(
                f"{failed.buffer.name}: the network needs {kib} KiB of plane memory at one image "
                f"at a time, the platform has plane_memory_kib of {platform.plane_memory_kib}: "
                f"{kib} would fit, or use fewer bits or channels"
            )
        least_words = share * max(each.buffer.words for each in beside)
        last = min(each.last for each in beside if each.buffer.words >= least_words)
        half = images[last] // 2
        images = [min(each, half) if index <= last else each for index, each in enumerate(images)]


def _merged(images: list[int], levels: int) -> list[int]:
    """Lower images at a time until there are no more segments than loops."""
    while len(kinds := sorted(set(images))) > levels:
        images = [kinds[0] if each == kinds[1] else each for each in images]
    return images


def _lives(lowered: Lowered, images: list[int], when: int) -> list[_Life]:
    """Find what each buffer holds, and from which step to which; sets the buffers' slots."""
    source = lowered.input.buffer
    lives = {id(source): _Life(source, -1, -1, images[0])}

    def use(view: View | None, index: int, writes: bool = False) -> None:
        if view is None:
            return
        key = id(view.buffer)
        if key not in lives:
            assert writes, "a tensor is written before it is read"
            lives[key] = _Life(view.buffer, index, index, images[index])
        life = lives[key]
        life.read = max(life.read, index)
        life.users.append(index)

    for index, step in enumerate(lowered.steps):
        use(step.source, index)
        use(step.skip, index)
        use(step.target, index, writes=True)
    for life in lives.values():
        slots = max([life.first_writer_images, *(images[index] for index in life.users)])
        if slots > life.first_writer_images:
            life.written = min(life.written, -1)  # filled over several passes of what is before
        if life.buffer is source and when == When.AHEAD:
            slots *= 2
            life.read = len(images)  # the next pass's images come while this one computes
        life.buffer.slots = slots
    return list(lives.values())


def _place(lives: list[_Life], words: int) -> tuple[int, _Life | None]:
    """Give each buffer the lowest free address; returns the words used, and what does not fit."""
    placed: list[_Life] = []
    used = 0
    for life in sorted(lives, key=lambda each: (each.written, -each.buffer.words)):
        beside = [other for other in placed if other.overlaps(life)]
        address = 0
        for other in sorted(beside, key=lambda each: each.buffer.address):
            if address + life.buffer.words <= other.buffer.address:
                break
            address = max(address, other.buffer.address + other.buffer.words)
        life.buffer.address = address
        used = max(used, address + life.buffer.words)
        placed.append(life)
        if used > words:
            return used, life
    return used, None
