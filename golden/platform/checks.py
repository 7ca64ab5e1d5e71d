"""Conditions between a descriptor, the platform's sizes and the memories."""

from dataclasses import dataclass

from adq.golden.platform.planning.layout import row_words
from adq.rtl.platform.descriptors import Descriptor, DescriptorError, Layer, Load, Mode, Store
from adq.rtl.platform.parameters import PlatformParameters

UNIT = 16
"""Bytes of an address of the program, the input and the output memory."""


@dataclass(frozen=True, kw_only=True)
class Memories:
    """Sizes of what a descriptor may reach."""

    program_bytes: int
    input_bytes: int
    output_bytes: int


def check(
    descriptor: Descriptor,
    index: int,
    platform: PlatformParameters,
    memories: Memories,
    images: int,
) -> None:
    """Hold a descriptor against the platform and its memories.

    Fields are within their own ranges. ``images`` are all images that the program computes.

    Raises
    ------
    adq.rtl.platform.descriptors.DescriptorError
        A field does not suit the others or the platform.

    """
    checks = _Checks(descriptor, index, platform, memories, images)
    if isinstance(descriptor, Layer):
        checks.layer(descriptor)
    elif isinstance(descriptor, Load | Store):
        checks.copy(descriptor)


@dataclass(frozen=True)
class _Checks:
    descriptor: Descriptor
    index: int
    platform: PlatformParameters
    memories: Memories
    images: int

    def require(self, condition: bool, field: str, problem: str) -> None:
        if not condition:
            value = getattr(self.descriptor, field)
            raise DescriptorError(self.index, field, f"{value}: {problem}")

    def copy(self, d: Load | Store) -> None:
        loads = isinstance(d, Load)
        self.require(
            d.slots_log >= d.images_log, "slots_log", "there is no room for the images of a pass"
        )
        words = self.platform.plane_memory_words
        self.require(
            d.address + (d.words << d.slots_log) <= words,
            "address",
            f"the images do not fit into {words} words of plane memory",
        )
        size = self.memories.input_bytes if loads else self.memories.output_bytes
        self.require(
            d.memory * UNIT + self.images * d.words * self.platform.rows // 8 <= size,
            "memory",
            f"the images lie outside of {size} bytes of memory",
        )

    def layer(self, d: Layer) -> None:
        platform, bits = self.platform, self.platform.rows
        self.require(
            d.weight_bits in platform.tile.weight_widths, "weight_bits", "it must be 2, 4, 8 or 16"
        )
        self.require(d.stacked == 0 or platform.stack > 1, "stacked", "the stack has one tile")
        self.require(
            d.skip == 0 or d.mode == Mode.REQUANTIZE, "skip", "only a requantization adds one"
        )
        most = platform.table_planes
        self.require(
            d.mode != Mode.TABLE or d.source_planes <= most,
            "source_planes",
            f"a table takes integers of up to {most} bits",
        )
        most = platform.threshold_planes
        self.require(
            d.mode != Mode.THRESHOLDS or d.target_planes <= most,
            "target_planes",
            f"thresholds give activations of up to {most} bits",
        )
        self.require(
            d.mode != Mode.THRESHOLDS or d.accumulator_bits < platform.threshold_bits,
            "accumulator_bits",
            f"thresholds compare less than {platform.threshold_bits} bits",
        )
        most = platform.accumulator_bits
        self.require(d.accumulator_bits <= most, "accumulator_bits", f"the platform has {most}")
        for name in ("source", "target", "skip"):
            self.require(
                getattr(d, f"{name}_slots_log") >= d.images_log
                or (name == "target" and d.mode == Mode.RAW)
                or (name == "skip" and not d.skip),
                f"{name}_slots_log",
                "there is no room for the images of a pass",
            )
        self._pitch("source")
        words = d.source_pitch // bits
        self.require(
            1 <= d.source_words <= max(words, 1), "source_words", f"a pixel has {max(words, 1)}"
        )
        for axis, pool, side, padding in (
            ("pool_height", d.pool_height, d.height, d.pool_padding_y),
            ("pool_width", d.pool_width, d.width, d.pool_padding_x),
        ):
            self.require(pool <= side + 2 * padding, axis, "it is larger than what it slides over")
        vectors = platform.accumulator_vectors
        self.require(
            d.window <= vectors, "pool_height", f"the window has more than {vectors} pixels"
        )
        units = platform.clusters * (1 if d.stacked else platform.stack)
        self.require(units % d.split == 0, "split", f"it must divide {units}")
        self._source(d)
        self._target(d)
        if d.skip:
            self._pitch("skip")
            self.require(
                d.skip_channel + d.outputs <= d.skip_pitch,
                "skip_channel",
                f"{d.outputs} outputs end beyond a pixel of {d.skip_pitch}",
            )
            self._inside("skip_address", d.skip_slots_log, d.height, d.skip_planes,
                         row_words(d.width, d.skip_pitch, bits))  # fmt: skip
        size = 2 << d.source_planes if d.mode == Mode.TABLE else UNIT * d.outputs
        self._in_program("parameters", size)
        self._in_program("weights", weight_block_count(d, platform) * platform.block_bytes)

    def _source(self, d: Layer) -> None:
        row = row_words(d.source_width, d.source_pitch, self.platform.rows)
        # The address is that of the first word that is read of a pixel.
        unread = max(d.source_pitch // self.platform.rows, 1) - d.source_words
        self._inside("source", d.source_slots_log, d.source_height, d.source_planes, row, unread)

    def _target(self, d: Layer) -> None:
        self.require(
            d.target_channel + d.outputs <= d.target_pitch,
            "target_channel",
            f"{d.outputs} outputs end beyond a pixel of {d.target_pitch}",
        )
        height, width = d.pooled
        if d.mode == Mode.RAW:
            self.require(d.window == 1, "pool_height", "raw accumulators have no pooling")
            for name in ("pool_padding_y", "pool_padding_x"):
                self.require(getattr(d, name) == 0, name, "raw accumulators have no pooling")
            end = d.target * UNIT + 8 * self.images * height * width * d.target_pitch
            size = self.memories.output_bytes
            self.require(end <= size, "target", f"it ends beyond {size} bytes of output memory")
            return
        self._pitch("target")
        row = row_words(width, d.target_pitch, self.platform.rows)
        self._inside("target", d.target_slots_log, height, d.target_planes, row)

    def _pitch(self, name: str) -> None:
        field, bits = f"{name}_pitch", self.platform.rows
        pitch = getattr(self.descriptor, field)
        good = pitch % bits == 0 if pitch >= bits else pitch & (pitch - 1) == 0
        self.require(
            good, field, f"it must be a power of two below {bits}, or a multiple of {bits}"
        )

    def _inside(
        self, field: str, slots_log: int, height: int, planes: int, row: int, unread: int = 0
    ) -> None:
        words = self.platform.plane_memory_words
        end = getattr(self.descriptor, field) + (height * planes * row << slots_log) - unread
        self.require(end <= words, field, f"the tensor ends beyond {words} words of plane memory")

    def _in_program(self, field: str, size: int) -> None:
        end = getattr(self.descriptor, field) * UNIT + size
        most = self.memories.program_bytes
        self.require(end <= most, field, f"it ends beyond the program's {most} bytes")


def row_blocks(d: Layer, word_bits: int) -> int:
    """Return the row blocks of a layer."""
    if d.source_pitch < word_bits:
        pixels = word_bits // d.source_pitch
        return d.kernel_height * -(-((d.kernel_width - 1) * d.dilation_x + 1) // pixels)
    return d.kernel_height * d.kernel_width * d.source_words


def weight_shape(d: Layer, platform: PlatformParameters) -> tuple[int, int, int, int, int]:
    """Return how the weight blocks of a layer follow each other.

    Groups of outputs, rounds, parts of the split, tiles of the stack, tile columns.
    """
    stack = platform.stack if d.stacked else 1
    rounds = -(-row_blocks(d, platform.rows) // stack)
    blocks = -(-d.outputs // (platform.columns // d.weight_bits))
    groups = -(-blocks // (platform.tile_columns * d.split))
    return groups, rounds, d.split, stack, platform.tile_columns


def weight_block_count(d: Layer, platform: PlatformParameters) -> int:
    """Return the weight blocks of a layer."""
    groups, rounds, split, stack, columns = weight_shape(d, platform)
    return groups * rounds * split * stack * columns
