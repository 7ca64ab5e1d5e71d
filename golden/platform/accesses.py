"""Accesses of a layer: what the blocks of a platform read, write and compute.

They follow from the descriptor and the platform's sizes alone. Energy is accesses times the energy
of each. ``docs/platform.md`` explains them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adq.golden.platform.checks import UNIT, row_blocks
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["Accesses", "lane_pieces", "layer_accesses"]


@dataclass(frozen=True, kw_only=True)
class Accesses:
    """Accesses of a layer's run, for all its images, on the whole platform."""

    planes: int
    """Planes that rows of tiles take; tiles side by side take the same."""
    tile_planes: int
    """Planes that tiles take."""
    plane_reads: int
    """Words that walkers fetch from the plane memory."""
    skip_reads: int
    """Words of the skip connection."""
    plane_writes: int
    """Words that plane writers write, some of their bits each."""
    stack_bits: int
    """Bits of sums that are added between tiles on top of each other."""
    stores: int
    """Vectors of sums that accumulator memories store."""
    stored_bits: int
    """Bits of the sums that are stored."""
    kept_bits: int
    """Bits of these that stay in registers from a row block to the next one, and enter no
    memory."""
    loaded_bits: int
    """Bits that are read from memories to be added to."""
    drained_bits: int
    """Bits that the drain reads."""
    steps: int
    """Steps of drains."""
    results: int
    """Results of requantizers, or sums that leave raw."""
    skips: int
    """Results to which a skip connection is added; they count among ``results``, too."""
    compared: int
    """Sums that are compared with thresholds."""
    lookups: int
    """Entries that are read from tables."""
    pixels: int
    """Pixels that plane writers write, of a column of tiles each."""
    written: int
    """Activations of these pixels."""
    records: int
    """Parameters of an output, or entries of a table that come at once."""
    parameter_reads: int
    """Reads of parameters, of a step's outputs each. Those of the step before stay."""
    block_loads: int
    """Weight blocks that tiles load."""
    buffer_reads: int
    """Weight blocks that are read from weight buffers; parts of the platform take the same."""
    buffer_writes: int
    """Weight blocks that come over the bus."""
    bus_bytes: int
    """Weights and parameters."""


def layer_accesses(layer: Layer, platform: PlatformParameters) -> Accesses:
    """Return the accesses of a layer, whose fields are in their ranges and suit the platform."""
    p = platform
    lanes = p.columns // layer.weight_bits
    outputs = [min(lanes, layer.outputs - done) for done in range(0, layer.outputs, lanes)]
    blocks = len(outputs)
    vectors = layer.windows * layer.window
    units = p.clusters * (1 if layer.stacked else p.stack)
    parts = units // layer.split
    groups = -(-blocks // (p.tile_columns * layer.split))
    row_count = row_blocks(layer, p.rows)
    stack = p.stack if layer.stacked else 1
    rounds = -(-row_count // stack)

    # Jobs of a part: chunks of windows.
    size = p.accumulator_vectors // layer.window
    windows = -(-layer.windows // parts)
    chunks = -(-windows // size)

    pieces = list(lane_pieces(p, layer.weight_bits, layer.accumulator_bits))
    width = sum(len(each.lanes) * each.bits for each in pieces)
    steps = drained = parameter_reads = 0
    for count in outputs:
        slices = -(-count // p.requantizers)
        parameter_reads += layer.windows * slices if slices > 1 else min(parts, layer.windows)
        for number in range(slices):
            steps += vectors
            drained += vectors * sum(
                len(each.lanes) * each.bits
                for each in pieces
                if each.group in _groups(p, layer.weight_bits, number)
            )
    kept = _odd_jobs(layer, windows, size) * (rounds - 1)
    inside = _inside_pixels(layer)
    table = layer.mode == Mode.TABLE
    raw = layer.mode == Mode.RAW
    thresholds = layer.mode == Mode.THRESHOLDS
    records = -(-(2 << layer.source_planes) // UNIT) if table else layer.outputs
    weights = rounds * p.block_bytes * stack * p.tile_columns * layer.split
    fetches = chunks if weights // p.tile_columns > 1024 * p.weight_buffer_kib else 1
    return Accesses(
        planes=vectors * row_count * layer.source_planes * groups * layer.split,
        tile_planes=vectors * row_count * layer.source_planes * blocks,
        plane_reads=_fetches(layer, p.rows) * layer.source_planes * groups * layer.split,
        skip_reads=_skip_reads(layer, p, outputs) if layer.skip else 0,
        plane_writes=0 if raw else _writes(layer, p, outputs),
        stack_bits=vectors * (row_count - rounds) * blocks * width,
        stores=vectors * rounds * blocks,
        stored_bits=vectors * rounds * blocks * width,
        kept_bits=kept * blocks * width,
        loaded_bits=(vectors * (rounds - 1) - kept) * blocks * width,
        drained_bits=drained,
        steps=steps,
        results=0 if table or thresholds else vectors * layer.outputs,
        skips=inside * layer.outputs if layer.skip else 0,
        compared=vectors * layer.outputs if thresholds else 0,
        lookups=vectors * layer.outputs if table else 0,
        pixels=0 if raw else layer.windows * blocks,
        written=0 if raw else layer.windows * layer.outputs,
        records=records,
        parameter_reads=0 if table else parameter_reads,
        block_loads=blocks * row_count * chunks * parts,
        buffer_reads=blocks * row_count * chunks,
        buffer_writes=blocks * row_count * fetches,
        bus_bytes=weights * groups * fetches + UNIT * records,
    )


def _odd_jobs(layer: Layer, windows: int, size: int) -> int:
    """Return the jobs of a group with an odd number of vectors, of parts with so many windows and
    jobs of up to ``size`` of these.
    """
    odd = 0
    for first in range(0, layer.windows, windows):
        whole, rest = divmod(min(windows, layer.windows - first), size)
        odd += whole * (size * layer.window % 2) + rest * layer.window % 2
    return odd


@dataclass(frozen=True)
class Piece:
    """A memory of half of an accumulator memory."""

    group: int
    """Place of its lanes among those that are read together."""
    lanes: tuple[int, ...]
    bits: int
    """Bits of each lane."""


def lane_pieces(p: PlatformParameters, weight_bits: int, accumulator_bits: int) -> Iterator[Piece]:
    """Yield the memories of a half that a layer of some precision uses."""
    for first in range(0, p.tile.lanes, p.requantizers):
        near = range(first, min(first + p.requantizers, p.tile.lanes))
        for width in p.tile.weight_widths:
            lanes = tuple(lane for lane in near if p.tile.lane_weight_bits(lane) == width)
            if not lanes or width < weight_bits:
                continue
            for low, high in p.sum_pieces(p.lane_bits(width)):
                if low < accumulator_bits:
                    yield Piece(first // p.requantizers, lanes, high - low)


def _groups(p: PlatformParameters, weight_bits: int, number: int) -> set[int]:
    """Return the groups of lanes that hold the outputs of a step."""
    first = number * p.requantizers
    outputs = range(first, min(first + p.requantizers, p.columns // weight_bits))
    return {output * weight_bits // 2 // p.requantizers for output in outputs}


def _axis(layer: Layer, axis: str) -> np.ndarray:
    """Return the row or the column of each pixel of pooling windows along an axis: int (windows,
    pixels of a window).
    """
    side = {"y": "height", "x": "width"}[axis]
    count = layer.pooled[0 if axis == "y" else 1]
    starts = np.arange(count) * getattr(layer, f"pool_stride_{axis}")
    starts -= getattr(layer, f"pool_padding_{axis}")
    pixels: np.ndarray = starts[:, None] + np.arange(getattr(layer, f"pool_{side}"))
    return pixels


def _inside(layer: Layer, axis: str) -> np.ndarray:
    """Return which pixels of pooling windows lie in the convolution's output."""
    pixels = _axis(layer, axis)
    inside: np.ndarray = (pixels >= 0) & (pixels < (layer.height if axis == "y" else layer.width))
    return inside


def _inside_pixels(layer: Layer) -> int:
    """Return the pixels of all pooling windows that lie in the convolution's output."""
    return layer.images * int(_inside(layer, "y").sum()) * int(_inside(layer, "x").sum())


def _fetches(layer: Layer, word_bits: int) -> int:
    """Return the words that are fetched for a plane of all vectors and row blocks."""
    rows = _axis(layer, "y").ravel() * layer.stride_y - layer.padding_y
    taps = np.arange(layer.kernel_height) * layer.dilation_y
    row = rows[:, None] + taps
    in_rows = int(((row >= 0) & (row < layer.source_height)).sum())
    columns = _axis(layer, "x").ravel() * layer.stride_x - layer.padding_x
    pitch = layer.source_pitch
    if pitch >= word_bits:
        column = columns[:, None] + np.arange(layer.kernel_width) * layer.dilation_x
        words = int(((column >= 0) & (column < layer.source_width)).sum()) * layer.source_words
    else:
        pixels = word_bits // pitch
        steps = -(-((layer.kernel_width - 1) * layer.dilation_x + 1) // pixels)
        column = columns[:, None] + np.arange(steps) * pixels
        offset = column * pitch % word_bits
        begin = np.clip(-column * pitch, 0, word_bits)
        end = np.clip((layer.source_width - column) * pitch, 0, word_bits)
        some = begin < end
        first, second = offset + begin < word_bits, offset + end > word_bits
        words = int((some & first).sum() + (some & second).sum())
    return layer.images * in_rows * words


def _skip_reads(layer: Layer, p: PlatformParameters, outputs: list[int]) -> int:
    """Return the words that the skip connection reads."""
    inside = _inside(layer, "x")
    columns = _axis(layer, "x")[inside]
    rows = layer.images * int(_inside(layer, "y").sum())
    words = done = 0
    for count in outputs:
        for first in range(0, count, p.requantizers):
            some = min(p.requantizers, count - first)
            place = columns * layer.skip_pitch + layer.skip_channel + done + first
            words += int(((place + some - 1) // p.rows - place // p.rows + 1).sum())
        done += count
    return rows * words * layer.skip_planes


def _writes(layer: Layer, p: PlatformParameters, outputs: list[int]) -> int:
    """Return the words of the target that are written."""
    height, width = layer.pooled
    words = done = 0
    for count in outputs:
        place = np.arange(width) * layer.target_pitch + layer.target_channel + done
        words += int(((place + count - 1) // p.rows - place // p.rows + 1).sum())
        done += count
    return layer.images * height * words * layer.target_planes
