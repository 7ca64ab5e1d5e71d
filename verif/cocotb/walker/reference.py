"""The walker's planes and settings, from a descriptor, slow and obvious."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from adq.rtl.parameters import TileParameters
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["Plane", "planes_of", "settings_of"]


@dataclass(frozen=True)
class Plane:
    """A plane of a vector, and where it stands."""

    bits: int
    tag: dict[str, int]
    begins_job: bool


def settings_of(layer: Layer, image: int, p: PlatformParameters) -> dict[str, int | dict]:
    """Return the settings of a layer, as the members of ``walk_layout``.

    ``image`` is the first image of the pass.
    """
    bits, pitch = p.rows, layer.source_pitch
    row = -(-layer.source_width * pitch // bits)
    line = layer.source_planes * row
    words = layer.source_height * line
    slot = image % (1 << layer.source_slots_log)
    shared = pitch < bits
    pooled_height, pooled_width = layer.pooled
    span = (layer.kernel_width - 1) * layer.dilation_x + 1
    y = -layer.padding_y - layer.pool_padding_y * layer.stride_y
    x = -layer.padding_x - layer.pool_padding_x * layer.stride_x

    def axis(pixels: int, unit: int, first: int = 0) -> dict[str, int]:
        return {"pixel": pixels, "place": first + pixels * unit}

    return {
        "weight_bits": 1 << TileParameters.weight_widths.index(layer.weight_bits),
        "outputs": layer.outputs,
        "group": p.columns // layer.weight_bits,
        "planes": layer.source_planes - 1,
        "signed": layer.source_signed,
        "plane_step": row,
        "slot": slot,
        "slots": (1 << layer.source_slots_log) - 1,
        "slot_zero": layer.source + y * line,
        "image_step": words,
        "images": layer.images - 1,
        "height": layer.source_height,
        "width": layer.source_width,
        "pitch_log": (min(pitch, bits) - 1).bit_length(),
        "y": {
            "origin": axis(y, line, layer.source + slot * words),
            "pixel": axis(layer.stride_y, line),
            "window": axis(layer.stride_y * layer.pool_stride_y, line),
            "kernel": axis(layer.dilation_y, line),
        },
        "x": {
            "origin": axis(x, pitch),
            "pixel": axis(layer.stride_x, pitch),
            "window": axis(layer.stride_x * layer.pool_stride_x, pitch),
            "kernel": axis(bits // pitch if shared else layer.dilation_x, pitch),
        },
        "windows_y": pooled_height - 1,
        "windows_x": pooled_width - 1,
        "pool_y": layer.pool_height - 1,
        "pool_x": layer.pool_width - 1,
        "window": layer.window,
        "kernel_y": layer.kernel_height - 1,
        "kernel_x": (-(-span * pitch // bits) if shared else layer.kernel_width) - 1,
        "kernel_words": layer.source_words - 1,
    }


def chunks_of(layer: Layer, p: PlatformParameters) -> Iterator[list[tuple[int, int, int]]]:
    """Yield the windows of each job: image, row and column."""
    windows = itertools.product(*map(range, (layer.images, *layer.pooled)))
    while chunk := list(itertools.islice(windows, p.accumulator_vectors // layer.window)):
        yield chunk


def planes_of(
    layer: Layer, image: int, p: PlatformParameters, memory: list[int]
) -> Iterator[Plane]:
    """Yield the planes of a layer, bit by bit from the words of a memory.

    Addresses beyond the memory wrap.
    """
    bits, pitch = p.rows, layer.source_pitch
    row = -(-layer.source_width * pitch // bits)
    span = (layer.kernel_width - 1) * layer.dilation_x + 1
    if pitch < bits:
        words = -(-span * pitch // bits)
        count = layer.kernel_height * words

        def block_at(number: int) -> tuple[int, int, int]:
            kernel_row, place = divmod(number, words)
            return kernel_row, place * (bits // pitch), 0
    else:
        count = layer.kernel_height * layer.kernel_width * layer.source_words

        def block_at(number: int) -> tuple[int, int, int]:
            element, word = divmod(number, layer.source_words)
            kernel_row, column = divmod(element, layer.kernel_width)
            return kernel_row, column * layer.dilation_x, word

    def bit_at(slot: int, y: int, x: int, word: int, bit: int, plane: int) -> int:
        """Bit of a row of the array; ``x`` is the column of its first one."""
        if not 0 <= y < layer.source_height:
            return 0
        if pitch >= bits:
            if not 0 <= x < layer.source_width:
                return 0
            place = x * pitch + word * bits + bit
        else:
            if not 0 <= x + bit // pitch < layer.source_width:
                return 0
            place = x * pitch + bit
        rows = (slot * layer.source_height + y) * layer.source_planes + plane
        address = layer.source + rows * row + place // bits
        return memory[address % len(memory)] >> place % bits & 1

    weight_bits = 1 << TileParameters.weight_widths.index(layer.weight_bits)
    bank = 0
    groups = -(-layer.outputs // (p.columns // layer.weight_bits))
    for _ in range(groups):
        for chunk in chunks_of(layer, p):
            for number in range(count):
                kernel_row, column, word = block_at(number)
                vectors = [
                    (each, top, left, down, right)
                    for each, top, left in chunk
                    for down in range(layer.pool_height)
                    for right in range(layer.pool_width)
                ]
                for place, (each, top, left, down, right) in enumerate(vectors):
                    slot = (image + each) % (1 << layer.source_slots_log)
                    conv_y = top * layer.pool_stride_y - layer.pool_padding_y + down
                    conv_x = left * layer.pool_stride_x - layer.pool_padding_x + right
                    y = conv_y * layer.stride_y - layer.padding_y + kernel_row * layer.dilation_y
                    x = conv_x * layer.stride_x - layer.padding_x + column
                    for plane in range(layer.source_planes):
                        value = sum(
                            bit_at(slot, y, x, word, bit, plane) << bit for bit in range(bits)
                        )
                        last = plane == layer.source_planes - 1
                        yield Plane(
                            bits=value,
                            tag={
                                "first": int(plane == 0),
                                "last": int(last),
                                "negative": int(last and layer.source_signed),
                                "first_block": int(number == 0),
                                "last_block": int(number == count - 1),
                                "last_vector": int(place == len(vectors) - 1),
                                "bank": bank,
                                "weight_bits": weight_bits,
                            },
                            begins_job=number == place == plane == 0,
                        )
                bank ^= 1
