"""Descriptors: 64 bytes that tell the platform what to do next.

A program is a list of descriptors, taken in order; ``LOOP`` goes back to the first. Each has an
operation in its lowest four bits, and fields of fixed places. ``docs/platform.md`` has the table
of all fields, which is made from the classes here.

Software and hardware take the places of fields from here; it does not import Amaranth.

Bits that belong to no field are 0. Every field has a range, and the platform checks it: a
descriptor with a field out of range stops the program, and the error names its index and the
field. What holds between fields and the platform's sizes is checked by
``adq.golden.platform.checks``.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "DESCRIPTOR_BYTES",
    "OPERATIONS",
    "Descriptor",
    "DescriptorError",
    "End",
    "Layer",
    "Load",
    "Loop",
    "Mode",
    "Store",
    "When",
    "unpack",
]

DESCRIPTOR_BYTES = 64
"""Size of a descriptor."""

_OPERATION_BITS = 4


class DescriptorError(ValueError):
    """A descriptor that the platform cannot run.

    Attributes
    ----------
    index
        Place of the descriptor in the program.
    field
        Name of the field that is out of range.

    """

    def __init__(self, index: int, field: str, problem: str):
        super().__init__(f"descriptor {index}: {field}: {problem}")
        self.index = index
        self.field = field


class Mode:
    """Values of ``Layer.mode``: how a layer's accumulators become outputs."""

    REQUANTIZE = 0
    """Activations, into the plane memory."""
    RAW = 1
    """The accumulator with its bias, in 64 bits, into the output memory."""
    TABLE = 2
    """The entry of a table, into the plane memory."""
    THRESHOLDS = 3
    """How many thresholds the accumulator has reached, into the plane memory."""


class When:
    """Values of ``Load.when``: when images are copied."""

    EVERY_PASS = 0
    """Each pass copies its own images, and the next descriptor waits."""
    FIRST_PASS = 1
    """The first pass copies its images, and the next descriptor waits."""
    AHEAD = 2
    """Each pass but the last copies the images of the next pass while it computes. The copy that
    was begun before ends first."""


def number(word: int, bit: int, bits: int, least: int, most: int | None = None) -> Any:
    """Declare a field: ``bits`` bits from ``bit`` of the 32-bit word ``word``, with its range."""
    most = (1 << bits) - 1 if most is None else most
    return dataclasses.field(
        metadata={"at": 32 * word + bit, "bits": bits, "least": least, "most": most}
    )


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """A descriptor of any operation."""

    OPERATION: ClassVar[int]

    def pack(self) -> bytes:
        """Return its bytes; fields out of range keep their low bits, to try the platform."""
        word = self.OPERATION
        for field in dataclasses.fields(self):
            place = field.metadata
            word |= (getattr(self, field.name) & ((1 << place["bits"]) - 1)) << place["at"]
        return word.to_bytes(DESCRIPTOR_BYTES, "little")

    def check_ranges(self, index: int) -> None:
        """Hold every field against its own range.

        Raises
        ------
        DescriptorError
            The first field, in the order of their places, that is out of range.

        """
        for field in sorted(dataclasses.fields(self), key=lambda each: each.metadata["at"]):
            least, most = field.metadata["least"], field.metadata["most"]
            value = getattr(self, field.name)
            if not least <= value <= most:
                raise DescriptorError(index, field.name, f"{value}: it must be {least} to {most}")


@dataclass(frozen=True, kw_only=True)
class End(Descriptor):
    """The program ends, with an interrupt."""

    OPERATION: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class Loop(Descriptor):
    """Go back to the first descriptor until everything in front has run ``count`` times.

    Loops stand one inside of the other: the first ``Loop`` is the innermost. Each pass of it is
    over the next ``2^images_log`` images.
    """

    OPERATION: ClassVar[int] = 2
    count: int = number(1, 0, 16, 1)
    """Passes."""
    images_log: int = number(1, 16, 4, 0, 15)
    """Images of a pass, as a power of two."""


@dataclass(frozen=True, kw_only=True)
class Load(Descriptor):
    """Copy images from the input memory into the plane memory."""

    OPERATION: ClassVar[int] = 3
    images_log: int = number(0, 4, 4, 0, 15)
    """Images that are copied, as a power of two."""
    slots_log: int = number(0, 8, 4, 0, 15)
    """Images for which the plane memory has room, as a power of two."""
    when: int = number(0, 12, 2, 0, 2)
    """0: in every pass; 1: in the first pass; 2: ahead, those of the next pass."""
    words: int = number(1, 0, 32, 1)
    """Words of the plane memory an image."""
    address: int = number(2, 0, 32, 0)
    """First word in the plane memory."""
    memory: int = number(3, 0, 32, 0)
    """First byte in the input memory, in units of 16. Images follow each other."""


@dataclass(frozen=True, kw_only=True)
class Store(Descriptor):
    """Copy images from the plane memory into the output memory."""

    OPERATION: ClassVar[int] = 4
    images_log: int = number(0, 4, 4, 0, 15)
    """Images that are copied, as a power of two."""
    slots_log: int = number(0, 8, 4, 0, 15)
    """Images for which the plane memory has room, as a power of two."""
    words: int = number(1, 0, 32, 1)
    """Words of the plane memory an image."""
    address: int = number(2, 0, 32, 0)
    """First word in the plane memory."""
    memory: int = number(3, 0, 32, 0)
    """First byte in the output memory, in units of 16. Images follow each other."""


@dataclass(frozen=True, kw_only=True)
class Layer(Descriptor):
    """A convolution, what follows each of its sums, and the maximum pooling behind it.

    A linear layer is a convolution whose kernel is as large as its input. Pixels run in the order
    of pooling windows.
    """

    OPERATION: ClassVar[int] = 5
    weight_bits: int = number(0, 4, 5, 2, 16)
    """kw: 2, 4, 8 or 16."""
    source_planes: int = number(0, 9, 5, 1, 16)
    """kx: planes of the source."""
    source_signed: int = number(0, 14, 1, 0)
    """True if the top plane of the source is negative."""
    mode: int = number(0, 15, 2, 0, 3)
    """0: requantize; 1: raw accumulators into the output memory; 2: a table; 3: thresholds."""
    target_planes: int = number(0, 17, 5, 1, 16)
    """Planes of the target."""
    target_signed: int = number(0, 22, 1, 0)
    """True if the top plane of the target is negative."""
    stacked: int = number(0, 23, 1, 0)
    """True if tiles on top of each other share the row blocks of an output."""
    skip: int = number(0, 24, 1, 0)
    """True if a skip connection is added."""
    skip_planes: int = number(0, 25, 5, 1, 16)
    """Planes of the skip connection."""
    skip_signed: int = number(0, 30, 1, 0)
    """True if the top plane of the skip connection is negative."""
    shift: int = number(1, 0, 6, 0, 62)
    """S."""
    skip_shift: int = number(1, 6, 6, 0, 62)
    """E."""
    accumulator_bits: int = number(1, 12, 7, 1, 64)
    """Bits of the accumulator that are stored."""
    source_slots_log: int = number(1, 19, 4, 0, 15)
    """Images for which the source has room, as a power of two."""
    target_slots_log: int = number(1, 23, 4, 0, 15)
    """Images for which the target has room, as a power of two."""
    skip_slots_log: int = number(1, 27, 4, 0, 15)
    """Images for which the skip connection has room, as a power of two."""
    source: int = number(2, 0, 32, 0)
    """First word of the source in the plane memory."""
    target: int = number(3, 0, 32, 0)
    """First word of the target in the plane memory; of raw accumulators, their first byte in the
    output memory, in units of 16."""
    skip_address: int = number(4, 0, 32, 0)
    """First word of the skip connection in the plane memory."""
    weights: int = number(5, 0, 32, 0)
    """First byte of the weight blocks from the program's base, in units of 16."""
    parameters: int = number(6, 0, 32, 0)
    """First byte of the parameters, or of the table, from the program's base, in units of 16."""
    source_height: int = number(7, 0, 16, 1)
    """Rows of the source."""
    source_width: int = number(7, 16, 16, 1)
    """Columns of the source."""
    source_pitch: int = number(8, 0, 16, 1)
    """Bits of a pixel of the source, in a plane: a power of two below a word's, or whole words."""
    source_words: int = number(8, 16, 16, 1)
    """Words of each pixel that the layer reads; 1 where pixels share words."""
    kernel_height: int = number(9, 0, 10, 1)
    """Rows of the kernel."""
    kernel_width: int = number(9, 10, 10, 1)
    """Columns of the kernel."""
    stride_y: int = number(9, 20, 6, 1)
    """Rows from one window to the next."""
    stride_x: int = number(9, 26, 6, 1)
    """Columns from one window to the next."""
    padding_y: int = number(10, 0, 8, 0)
    """Rows of zeros above the source."""
    padding_x: int = number(10, 8, 8, 0)
    """Columns of zeros before the source."""
    dilation_y: int = number(10, 16, 8, 1)
    """Rows from one element of the kernel to the next."""
    dilation_x: int = number(10, 24, 8, 1)
    """Columns from one element of the kernel to the next."""
    height: int = number(11, 0, 16, 1)
    """Rows of the convolution's output."""
    width: int = number(11, 16, 16, 1)
    """Columns of the convolution's output."""
    pool_height: int = number(12, 0, 6, 1)
    """Rows of the pooling window; 1 without pooling."""
    pool_width: int = number(12, 6, 6, 1)
    """Columns of the pooling window; 1 without pooling."""
    pool_stride_y: int = number(12, 12, 6, 1)
    """Rows from one pooling window to the next."""
    pool_stride_x: int = number(12, 18, 6, 1)
    """Columns from one pooling window to the next."""
    pool_padding_y: int = number(12, 24, 4, 0)
    """Rows above the convolution's output that pooling windows reach and never choose."""
    pool_padding_x: int = number(12, 28, 4, 0)
    """Columns before the convolution's output that pooling windows reach and never choose."""
    images_log: int = number(13, 0, 4, 0, 15)
    """Images, as a power of two."""
    split: int = number(13, 4, 8, 1)
    """Parts of the platform that compute different outputs of the same pixels; the others compute
    other pixels."""
    target_pitch: int = number(13, 16, 16, 1)
    """Bits of a pixel of the target, in a plane; of raw accumulators, how many a pixel has."""
    outputs: int = number(14, 0, 16, 1)
    """Outputs."""
    target_channel: int = number(14, 16, 16, 0)
    """Place of the first output in a pixel of the target."""
    skip_pitch: int = number(15, 0, 16, 1)
    """Bits of a pixel of the skip connection, in a plane."""
    skip_channel: int = number(15, 16, 16, 0)
    """Place in a pixel of the skip connection of what is added to the first output."""

    @property
    def images(self) -> int:
        """Images of a pass."""
        return 1 << self.images_log

    @property
    def pooled(self) -> tuple[int, int]:
        """Rows and columns of the target."""
        height = self.height + 2 * self.pool_padding_y - self.pool_height
        width = self.width + 2 * self.pool_padding_x - self.pool_width
        return height // self.pool_stride_y + 1, width // self.pool_stride_x + 1

    @property
    def windows(self) -> int:
        """Pooling windows of a pass: pixels of the target."""
        height, width = self.pooled
        return self.images * height * width

    @property
    def window(self) -> int:
        """Pixels of the convolution in a pooling window."""
        return self.pool_height * self.pool_width


OPERATIONS = {each.OPERATION: each for each in (End, Loop, Load, Store, Layer)}
"""Descriptor classes by operation. 0 is none, so that cleared memory is no program."""


def unpack(data: bytes, index: int) -> Descriptor:
    """Return the descriptor that 64 bytes hold, with every field within its own range.

    Raises
    ------
    DescriptorError
        An unknown operation, a bit that belongs to no field, or a field out of range.

    """
    word = int.from_bytes(data, "little")
    operation = word & ((1 << _OPERATION_BITS) - 1)
    if operation not in OPERATIONS:
        known = ", ".join(map(str, OPERATIONS))
        raise DescriptorError(index, "operation", f"{operation}: it must be one of {known}")
    kind = OPERATIONS[operation]
    values, left = {}, word >> _OPERATION_BITS << _OPERATION_BITS
    for field in dataclasses.fields(kind):
        at, bits = field.metadata["at"], field.metadata["bits"]
        mask = ((1 << bits) - 1) << at
        values[field.name] = (word & mask) >> at
        left &= ~mask
    if left:
        place = (left & -left).bit_length() - 1
        raise DescriptorError(index, "reserved", f"bit {place} is set, which belongs to no field")
    descriptor = kind(**values)
    descriptor.check_ranges(index)
    return descriptor
