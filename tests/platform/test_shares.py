"""Shares of units: every result of a layer is computed once."""

from collections import Counter
from random import Random

import pytest

from adq.golden.platform.planning.shares import shares, steps_to
from adq.golden.platform.planning.timeline import engine_cycles
from adq.rtl.parameters import ParameterError
from adq.rtl.platform.parameters import PlatformParameters
from adq.verif.cocotb.random_layers import random_layer

pytestmark = pytest.mark.testpoint("platform.cycles")

TILE = {"rows": 16, "columns": 16, "plane_memory_kib": 1, "accumulator_vectors": 16}


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 3, 1), (1, 1, 4), (3, 2, 2), (2, 1, 6)])
def test_every_output_of_every_window_is_computed_once(sizes):
    stack, columns, clusters = sizes
    platform = PlatformParameters(
        stack=stack, tile_columns=columns, clusters=clusters, plane_banks=8, **TILE
    )
    random = Random(4)
    for _ in range(40):
        layer = random_layer(random, platform)
        lanes = platform.tile.outputs(layer.weight_bits)
        found: Counter[tuple[int, int]] = Counter()
        for number, share in enumerate(shares(layer, platform)):
            assert share.place == (number % stack if layer.stacked else 0)
            if share.place:
                continue  # it works with the first unit of its stack
            for group, outputs in enumerate(share.outputs):
                begins = (group * layer.split + share.part) * columns * lanes
                for column, count in enumerate(outputs):
                    first = begins + column * lanes
                    for window in range(share.first, share.first + share.windows):
                        found.update((window, first + place) for place in range(count))
        everything = {(w, o) for w in range(layer.windows) for o in range(layer.outputs)}
        assert found.keys() == everything
        assert set(found.values()) == {1}


def test_steps_to_a_window_are_those_of_its_image_row_and_column():
    assert [steps_to(window, (3, 4)) for window in (0, 3, 4, 11, 12, 30)] == [0, 3, 1, 5, 1, 5]


def test_parts_of_the_pixels_take_fewer_cycles():
    random = Random(9)
    one = PlatformParameters(**TILE)
    four = PlatformParameters(clusters=4, plane_banks=8, **TILE)
    layer = random_layer(
        random, one, work=10**4, height=8, width=8, source_height=8, source_width=8,
        outputs=8, weight_bits=2, source_planes=4, source_pitch=16, kernel_height=3,
        kernel_width=3, padding_y=1, padding_x=1, stride_y=1, stride_x=1, pool_height=1,
        pool_width=1, pool_padding_y=0, pool_padding_x=0, pool_stride_y=1, pool_stride_x=1,
        images_log=0, skip=0, dilation_y=1, dilation_x=1, target_planes=2,
    )  # fmt: skip
    alone = engine_cycles(layer, one)
    # 9 row blocks of 64 vectors of 4 planes; each of four parts has 16 of the vectors.
    assert alone >= 9 * 64 * 4
    assert 9 * 16 * 4 <= engine_cycles(layer, four) <= alone // 4 + 150


@pytest.mark.parametrize("banks", [0, 1, 3, 24, 512])
def test_banks_are_a_power_of_two(banks):
    with pytest.raises(ParameterError, match="plane_banks must be a power of two from 2 to 256"):
        PlatformParameters(plane_banks=banks)
