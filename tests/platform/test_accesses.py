"""Accesses of layers: by hand, and counted one by one."""

import random

import pytest

from adq.golden.platform.accesses import lane_pieces, layer_accesses
from adq.rtl.platform.accumulator_memory import sum_memories
from adq.rtl.platform.descriptors import Layer, Mode
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.random_layers import random_layer

pytestmark = pytest.mark.testpoint("platform.cycles")

SIZES = (
    PlatformParameters(rows=16, columns=16, plane_memory_kib=4, requantizers=3,
                       accumulator_vectors=20),
    PlatformParameters(rows=32, columns=32, plane_memory_kib=8, requantizers=4,
                       accumulator_vectors=9),
)  # fmt: skip


def layer(**fields: int) -> Layer:
    """Return a convolution of 3x3 over 64 channels of 4x4 pixels."""
    return Layer(**{
        "weight_bits": 2, "source_planes": 2, "source_signed": 0, "mode": Mode.REQUANTIZE,
        "target_planes": 3, "target_signed": 0, "stacked": 0, "skip": 0, "skip_planes": 1,
        "skip_signed": 0, "shift": 20, "skip_shift": 0, "accumulator_bits": 12,
        "source_slots_log": 0, "target_slots_log": 0, "skip_slots_log": 0, "source": 0,
        "target": 64, "skip_address": 0, "weights": 0, "parameters": 0, "source_height": 4,
        "source_width": 4, "source_pitch": 64, "source_words": 1, "kernel_height": 3,
        "kernel_width": 3, "stride_y": 1, "stride_x": 1, "padding_y": 1, "padding_x": 1,
        "dilation_y": 1, "dilation_x": 1, "height": 4, "width": 4, "pool_height": 1,
        "pool_width": 1, "pool_stride_y": 1, "pool_stride_x": 1, "pool_padding_y": 0,
        "pool_padding_x": 0, "images_log": 0, "split": 1, "target_pitch": 64, "outputs": 64,
        "target_channel": 0, "skip_pitch": 64, "skip_channel": 0,
    } | fields)  # fmt: skip


def test_one_tile_by_hand():
    # Two groups of 32 outputs, 9 row blocks, 16 vectors of 2 planes. Along an axis 4 windows of 3
    # pixels have 12, of which 10 lie inside of the source.
    found = layer_accesses(layer(), PlatformParameters())
    assert found.planes == found.tile_planes == 2 * 9 * 16 * 2
    assert found.plane_reads == 2 * 10 * 10 * 2
    # Sums of 12 bits are stored in memories of 14: 32 lanes.
    assert found.stores == 2 * 9 * 16
    assert found.stored_bits == 2 * 9 * 16 * 32 * 14
    assert found.loaded_bits == 2 * 8 * 16 * 32 * 14
    assert found.kept_bits == 0
    assert (found.steps, found.results) == (2 * 16 * 4, 16 * 64)
    assert found.drained_bits == 16 * 64 * 14
    # A group's 32 channels are half of a word, whose 3 planes are written apart.
    assert found.plane_writes == 2 * 16 * 3
    # The parameters of four slices take turns in every vector.
    assert found.parameter_reads == 2 * 16 * 4
    assert (found.records, found.block_loads) == (64, 18)
    assert found.bus_bytes == 18 * 512 + 64 * 16


def test_a_stack_by_hand():
    # Three tiles share the 9 row blocks: sums of three meet, and one in three is stored. Two
    # columns take the same planes and compute both groups at once.
    platform = PlatformParameters(stack=3, tile_columns=2, requantizers=16)
    found = layer_accesses(layer(stacked=1), platform)
    assert found.planes == 9 * 16 * 2
    assert found.tile_planes == 2 * found.planes
    assert found.plane_reads == 10 * 10 * 2
    assert found.stored_bits == 2 * 3 * 16 * 32 * 14
    assert found.loaded_bits == 2 * 2 * 16 * 32 * 14
    assert found.stack_bits == 2 * 6 * 16 * 32 * 14
    assert found.steps == 2 * 16 * 2
    assert found.parameter_reads == 2 * 16 * 2


@pytest.mark.parametrize(
    ("vectors", "odd"),
    [(256, 0), (5, 4), (3, 5 + 1), (1, 16)],
    ids=["one job", "5 5 5 1", "3 3 3 3 3 1", "one vector each"],
)
def test_jobs_of_an_odd_number_of_vectors_keep_their_last_sums(vectors, odd):
    # Between 9 row blocks they stay in registers 8 times, for each of two groups of outputs.
    found = layer_accesses(layer(), PlatformParameters(accumulator_vectors=vectors))
    assert found.kept_bits == 2 * odd * 8 * 32 * 14
    assert found.loaded_bits == 2 * (16 - odd) * 8 * 32 * 14
    assert found.stored_bits == 2 * 9 * 16 * 32 * 14


def test_thresholds_by_hand():
    # Each of 16 vectors has 64 sums that are compared; 4 windows of 2x2 pixels give 64 numbers.
    pool = dict.fromkeys(("pool_height", "pool_width", "pool_stride_y", "pool_stride_x"), 2)
    given = layer(mode=Mode.THRESHOLDS, target_planes=2, **pool)
    found = layer_accesses(given, PlatformParameters())
    assert (found.results, found.compared, found.written) == (0, 16 * 64, 4 * 64)


def test_parameters_of_one_slice_are_read_once():
    # 32 requantizers take all outputs of a group: its parameters are read once, by each cluster.
    for clusters in (1, 2):
        platform = PlatformParameters(requantizers=32, clusters=clusters)
        assert layer_accesses(layer(), platform).parameter_reads == 2 * clusters


def counted_fetches(d: Layer, bits: int) -> int:
    """Return the words that hold a bit of the source, of each row block of each vector."""
    words = 0
    height, width = d.pooled
    for window in range(height * width * d.window):
        place, pixel = divmod(window, d.window)
        top, left = divmod(place, width)
        down, right = divmod(pixel, d.pool_width)
        y = (top * d.pool_stride_y - d.pool_padding_y + down) * d.stride_y - d.padding_y
        x = (left * d.pool_stride_x - d.pool_padding_x + right) * d.stride_x - d.padding_x
        for row in range(d.kernel_height):
            if not 0 <= y + row * d.dilation_y < d.source_height:
                continue
            if d.source_pitch >= bits:
                columns = (x + k * d.dilation_x for k in range(d.kernel_width))
                words += d.source_words * sum(0 <= each < d.source_width for each in columns)
                continue
            span = (d.kernel_width - 1) * d.dilation_x + 1
            pixels = bits // d.source_pitch
            for first in range(0, span, pixels):
                found = {
                    column * d.source_pitch // bits
                    for column in range(x + first, x + first + pixels)
                    if 0 <= column < d.source_width
                }
                words += len(found)
    return d.images * words


@pytest.mark.parametrize("platform", SIZES, ids=["16x16", "32x32"])
def test_fetches_are_those_that_are_counted_one_by_one(platform):
    drawn = random.Random(1)
    for _ in range(60):
        d = random_layer(drawn, platform)
        groups = -(-d.outputs // (platform.columns // d.weight_bits))
        expected = counted_fetches(d, platform.rows) * d.source_planes * groups
        assert layer_accesses(d, platform).plane_reads == expected, d


@pytest.mark.parametrize("platform", SIZES, ids=["16x16", "32x32"])
def test_pieces_of_lanes_are_the_memories_of_the_rtl(platform):
    built = [
        (group, tuple(lanes), high - low) for group, _, lanes, low, high in sum_memories(platform)
    ]
    widest = platform.accumulator_bits
    pieces = lane_pieces(platform, platform.tile.weight_widths[0], widest)
    assert [(each.group, each.lanes, each.bits) for each in pieces] == built
