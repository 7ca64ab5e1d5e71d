"""Shares: which windows and outputs of a layer each unit of a platform computes.

A unit is a row of tiles of a cluster. Units that share row blocks count as one.
"""

from dataclasses import dataclass

from adq.golden.platform.checks import weight_shape
from adq.rtl.platform.descriptors import Layer
from adq.rtl.platform.parameters import PlatformParameters

__all__ = ["Share", "shares", "steps_to"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a layer that a unit computes."""

    place: int
    """Place of the unit among those that share row blocks; 0 where it works alone."""
    part: int
    """Part of the outputs."""
    first: int
    """First of its windows, in the order in which all follow each other."""
    windows: int
    """Windows that it computes; may be 0."""
    outputs: tuple[tuple[int, ...], ...]
    """Outputs that each column computes, group by group. Groups without any in the first column
    are left out."""

    @property
    def works(self) -> bool:
        """Return whether the unit has anything to do."""
        return bool(self.windows and self.outputs)

    def chunks(self, layer: Layer, platform: PlatformParameters) -> list[int]:
        """Return the windows of each of its jobs of a group."""
        size = platform.accumulator_vectors // layer.window
        return [min(size, self.windows - first) for first in range(0, self.windows, size)]


def steps_to(window: int, sides: tuple[int, int]) -> int:
    """Return the steps in which a unit gets to its first window: by images, rows and windows."""
    height, width = sides
    images, rest = divmod(window, height * width)
    return images + sum(divmod(rest, width))


def shares(layer: Layer, platform: PlatformParameters) -> list[Share]:
    """Return the share of each unit, cluster by cluster."""
    groups, _, split, _, columns = weight_shape(layer, platform)
    parts = platform.clusters * (1 if layer.stacked else platform.stack) // split
    each = -(-layer.windows // parts)
    lanes = platform.tile.outputs(layer.weight_bits)
    found = []
    for cluster in range(platform.clusters):
        for place in range(platform.stack):
            number = cluster if layer.stacked else cluster * platform.stack + place
            windows, part = divmod(number, split)
            first = windows * each
            outputs = []
            for group in range(groups):
                begins = (group * split + part) * columns * lanes
                left = [layer.outputs - begins - column * lanes for column in range(columns)]
                if left[0] > 0:
                    outputs.append(tuple(max(0, min(lanes, some)) for some in left))
            found.append(
                Share(
                    place=place if layer.stacked else 0,
                    part=part,
                    first=first,
                    windows=max(0, min(each, layer.windows - first)),
                    outputs=tuple(outputs),
                )
            )
    return found
