"""Figures that are kept of some tiles: those that are nearest to another one."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from adq.rtl.parameters import TileParameters

__all__ = ["nearest_tile"]


class OfTile(Protocol):
    """Figures of a tile."""

    @property
    def tile(self) -> TileParameters:
        """The tile that was measured."""


Kept = TypeVar("Kept", bound=OfTile)


def nearest_tile(kept: Iterable[Kept], tile: TileParameters) -> Kept | None:
    """Return the figures of the tile whose number of bit cells is nearest, of the same arithmetic;
    None where there are none.
    """
    wanted = tile.rows * tile.columns

    def distance(figures: Kept) -> float:
        size = figures.tile.rows * figures.tile.columns
        return max(size / wanted, wanted / size)

    same = [each for each in kept if each.tile.arithmetic == tile.arithmetic]
    return min(same, key=distance, default=None)
