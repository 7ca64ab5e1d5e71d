"""Layouts of a walk over a layer's planes: its settings, and the positions that it keeps."""

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import exact_log2

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters
from adq.rtl.platform.planes.windows import WINDOW_BITS
from adq.rtl.platform.results.drain_settings import GROUP_BITS

__all__ = [
    "BLOCK_BITS",
    "COORDINATE_BITS",
    "axis_layouts",
    "part_layout",
    "row_block_layout",
    "taken_layout",
    "walk_layout",
    "walk_window_layout",
    "word_log",
    "words_layout",
]

BLOCK_BITS = 30
"""Bits of a count of row blocks, whose weights lie in a program."""

COORDINATE_BITS = 24
"""Bits of a row or a column of the source, which also counts what lies outside of it: every
descriptor whose fields are in their ranges stays within them."""


def word_log(parameters: PlatformParameters) -> int:
    """Return the logarithm of the bits of a word of the plane memory."""
    return exact_log2(parameters.rows)


def _axis_layout(place_bits: int) -> data.StructLayout:
    """Return the layout of a position along an axis: pixels, and its part of an address."""
    return data.StructLayout({"pixel": signed(COORDINATE_BITS), "place": place_bits})


def walk_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a layer's settings.

    Counts are one less than what they count. Places along y are words, places along x bits; both
    are taken modulo the size of the memory.

    Where tiles are stacked, ``stacked`` says that they share the row blocks of an output, of which
    ``blocks`` is the number, not one less.
    """
    address = parameters.address_bits
    y, x = axis_layouts(parameters)
    steps_y = dict.fromkeys(("origin", "pixel", "window", "kernel"), y)
    steps_x = dict.fromkeys(("origin", "pixel", "window", "kernel"), x)
    return data.StructLayout(
        {
            "weight_bits": len(TileParameters.weight_widths),  # one-hot
            "outputs": 16,
            "group": GROUP_BITS,  # outputs from a job to that of the next group
            "planes": 4,
            "signed": 1,
            "plane_step": address,
            "slot": 15,  # slot of the first image
            "slots": 15,
            "slot_zero": address,  # place of the origin in slot 0; that of `slot` is in `y`
            "image_step": address,
            "images": 15,
            "height": 16,  # of the source; not one less
            "width": 16,
            "pitch_log": range(word_log(parameters) + 1),  # bits of a pixel in a word
            "y": data.StructLayout(steps_y),
            "x": data.StructLayout(steps_x),
            "windows_y": 17,
            "windows_x": 17,
            "pool_y": 6,
            "pool_x": 6,
            "window": range(parameters.accumulator_vectors + 1),  # pixels of a pooling window
            "kernel_y": 10,
            "kernel_x": 17,
            "kernel_words": 16,
        }
        | ({"stacked": 1, "blocks": BLOCK_BITS} if parameters.stack > 1 else {})
    )


def axis_layouts(parameters: PlatformParameters) -> tuple[data.StructLayout, data.StructLayout]:
    """Return the layouts of a position along y, in words, and along x, in bits."""
    address = parameters.address_bits
    return _axis_layout(address), _axis_layout(address + word_log(parameters))


def walk_window_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a window on the walk: its counts, and the place of its first pixel."""
    y, x = axis_layouts(parameters)
    return data.StructLayout(
        {
            "image": 15,
            "slot": 15,
            "image_place": parameters.address_bits,  # of the origin in the image's slot
            "top": 17,
            "left": 17,
            "y": y,
            "x": x,
        }
        # Windows of the unit behind it.
        | ({"behind": WINDOW_BITS} if parameters.units > 1 else {})
    )


def row_block_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a row block on the walk: its place in the kernel, and what that adds to
    a vector's.
    """
    y, x = axis_layouts(parameters)
    return data.StructLayout(
        {
            "row": 10,
            "column": 17,
            "word": 16,
            "y": y,
            "x": x,
            "place": parameters.address_bits + word_log(parameters),  # of column and word
        }
    )


def part_layout(word_bits: int) -> data.StructLayout:
    """Return the layout of the part of two words that a plane is: ``word_bits`` bits of them from
    bit ``offset``, of which those from ``begin`` to ``end`` are within the source.
    """
    return data.StructLayout(
        {
            "offset": range(word_bits),
            "begin": range(word_bits + 1),
            "end": range(word_bits + 1),
        }
    )


def words_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of the words that hold a plane, and of the part of them that it is."""
    part = part_layout(parameters.rows)
    return data.StructLayout(
        {"address": parameters.address_bits, "first": 1, "second": 1, "part": part}
    )


def taken_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of the vector whose planes are fetched: words, and what its tags say."""
    flags = ("begins_job", "first_block", "last_block", "last_vector")
    return data.StructLayout({**words_layout(parameters).members, **dict.fromkeys(flags, 1)})
