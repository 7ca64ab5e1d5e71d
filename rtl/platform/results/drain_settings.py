"""Settings of the drain: what a layer's results are, and where they go."""

from amaranth.hdl import Const, Mux, Value, signed
from amaranth.lib import data
from amaranth.utils import exact_log2

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.parameters import PlatformParameters

__all__ = [
    *("GROUP_BITS", "PIXEL_BITS", "PLACE_BITS", "RECORD_BITS", "TABLE_PLANES"),
    *("drain_layout", "outputs_of"),
]

GROUP_BITS = 17
"""Bits of how many outputs all tiles compute at a time; more than a layer's count as a layer's."""

PIXEL_BITS = 18
"""Bits of a row or a column of the convolution's output, which also counts what pooling windows
reach outside of it."""

PLACE_BITS = 33
"""Bits of a place along x: a bit of a row of planes, or a raw result of the output memory."""

RECORD_BITS = 128
"""Bits of the parameters of an output, or of the entries of a table that come at once."""

TABLE_PLANES = PlatformParameters.table_planes
"""Most bits of the numbers that a table takes."""


def drain_layout(parameters: PlatformParameters) -> data.StructLayout:
    """Return the layout of a layer's settings.

    Counts are one less than what they count. Addresses are words of the plane memory, modulo their
    bits; places along x are bits. ``row`` is the words of a row of a tensor, all its planes. In
    mode ``RAW`` places along x are results, and ``target.x`` is the first one.

    The skip connection is a tensor with the pixels of the convolution's output; its ``origin``,
    ``slot_zero`` and ``x`` are those of the first pixel of the first pooling window, which may lie
    outside of it.
    """
    address = parameters.address_bits
    place = address + exact_log2(parameters.rows)
    images = {
        "slot": 15,  # slot of the first image
        "slots": 15,
        "origin": address,  # first word of the first image
        "slot_zero": address,  # first word of the image in slot 0
        "image": address,  # words of an image
        "plane": address,  # words of a plane of a row
        "channel": 16,  # place of the first output in a pixel
    }
    target = {
        **images,
        "x": PLACE_BITS,  # place of the first window
        "row": address,  # from a row to the next one
        "pitch": 16,  # from a pixel to the next one
    }
    skip = {
        **images,
        "x": place,
        "row": address,
        "pitch": 16,
        "window_y": address,  # from a row of windows to the next one
        "window_x": place,  # from a window to the next one
        "planes": 5,  # not one less
        "signed": 1,
    }
    return data.StructLayout(
        {
            "weight_bits": len(TileParameters.weight_widths),  # one-hot
            "accumulator_bits": 7,  # not one less; so are all bits and planes
            "outputs": 16,  # not one less
            "group": GROUP_BITS,  # outputs from a group of the tile's to its next one
            "raw": 1,  # results are whole accumulators: mode RAW
            "table": 1,  # results come from a table: mode TABLE
            "thresholds": 1,  # results are counted thresholds: mode THRESHOLDS
            "shift": 6,
            "skip_shift": 6,
            "planes": 5,  # of the target
            "signed": 1,
            "table_planes": range(TABLE_PLANES + 1),  # planes of the source, in mode TABLE
            "table_signed": 1,
            "images": 15,
            "windows_y": 17,
            "windows_x": 17,
            "pool_y": 6,
            "pool_x": 6,
            "window": range(parameters.accumulator_vectors + 1),  # pixels of a pooling window
            "pool_stride_y": 6,
            "pool_stride_x": 6,
            "first_row": signed(5),  # of the first window
            "first_column": signed(5),
            "height": 16,  # of the convolution's output; not one less
            "width": 16,
            "target": data.StructLayout(target),
            "skips": 1,  # a skip connection is added
            "skip": data.StructLayout(skip),
        }
    )


def outputs_of(parameters: PlatformParameters, weight_bits: Value) -> Value:
    """Return how many outputs a tile computes at a time, with a one-hot weight width."""
    outputs: Value = Const(0)
    for index, width in enumerate(parameters.tile.weight_widths):
        outputs = outputs | Mux(weight_bits[index], parameters.tile.outputs(width), 0)
    return outputs
