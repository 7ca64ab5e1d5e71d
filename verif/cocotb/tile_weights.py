"""Weights of a program as each tile of a platform loads them."""

from collections.abc import Iterator

from adq.golden.platform.checks import UNIT, weight_shape
from adq.golden.platform.planning.shares import shares
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["tile_weights"]


def tile_weights(
    layer: Layer, platform: PlatformParameters, program: bytes, tile: int
) -> Iterator[int]:
    """Yield the beats of a tile's weight blocks, those of a group again for every chunk."""
    unit, column = divmod(tile, platform.tile_columns)
    share = shares(layer, platform)[unit]
    _, rounds, split, stack, columns = weight_shape(layer, platform)
    row = platform.columns // 8
    beat = platform.tile.rows_per_beat * row
    first = layer.weights * UNIT
    for group in range(len(share.outputs)):
        for _ in share.chunks(layer, platform):
            for place in range(rounds):
                block = ((group * rounds + place) * split + share.part) * stack + share.place
                start = first + (block * columns + column) * platform.block_bytes
                data = program[start : start + platform.block_bytes]
                for offset in range(0, len(data), beat):
                    yield int.from_bytes(data[offset : offset + beat], "little")
