"""Tiles between those that were characterized: which of these stand for them, and how much of each.

What a toggle or a cycle takes grows in proportion to the rows or the columns that a net drives. A
mean of sizes whose mean rows and mean columns are the tile's own is exact for that. Wires of a
beat drive a word in each of a block's beats, which is in proportion to neither.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from adq.rtl.parameters import TileParameters

__all__ = ["Size", "blend_weights", "distance_to", "driven", "is_inside", "leakage_at"]

Size = tuple[int, int]
"""Rows and columns."""

SLACK = 1e-9


def blend_weights(sizes: Sequence[Size], target: Size) -> list[float]:
    """Return the weights of sizes, 0 to 1, whose sum is 1: those around the target, the nearest
    ones, with its rows and columns as their mean. Of a target that lies outside of all sizes, the
    mean that comes nearest to it.
    """
    best: tuple[float, float, dict[int, float]] | None = None
    for count in (1, 2, 3):
        for chosen in itertools.combinations(range(len(sizes)), count):
            weights = _mean(np.array([sizes[i] for i in chosen], float), np.array(target, float))
            if weights is None:
                continue
            mean = weights @ np.array([sizes[i] for i in chosen])
            missed = float(np.abs(np.log(mean / target)).sum())
            spread = sum(
                weight * _distance(sizes[i], target)
                for weight, i in zip(weights, chosen, strict=True)
            )
            found = (round(missed, 6), spread, dict(zip(chosen, weights.tolist(), strict=True)))
            if best is None or found[:2] < best[:2]:
                best = found
    if best is None:
        raise ValueError("no size is known")
    return [best[2].get(i, 0.0) for i in range(len(sizes))]


def _mean(points: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """Return the weights of points whose mean is as near to the target as may be; None if one is
    negative.
    """
    # Relative to the target, so that rows and columns count alike; the sum of weights is exact.
    rows = np.vstack([(points / target).T, 1e3 * np.ones(len(points))])
    weights = np.linalg.lstsq(rows, np.array([1.0, 1.0, 1e3]), rcond=None)[0]
    if (weights < -SLACK).any():
        return None
    positive: np.ndarray = np.clip(weights, 0, None)
    shares: np.ndarray = positive / positive.sum()
    return shares


def driven(tile: TileParameters) -> dict[str, float]:
    """Return the cells that a net of a class drives, of classes whose number is in proportion to
    neither rows nor columns.
    """
    return {"storage/beat": float(tile.weight_beats)}


def is_inside(sizes: Sequence[Size], target: Size) -> bool:
    """Return whether a mean of sizes has the target's rows and columns."""
    mean = np.array(blend_weights(sizes, target)) @ np.array(sizes, float)
    return bool(np.allclose(mean, target))


def distance_to(sizes: Sequence[Size], target: Size) -> float:
    """Return the distance from a target to the nearest size: the doublings of rows and of columns
    between them.
    """
    return min(_distance(size, target) for size in sizes) / math.log(2)


def _distance(size: Size, target: Size) -> float:
    return sum(abs(math.log(a / b)) for a, b in zip(size, target, strict=True))


def leakage_at(sizes: Sequence[Size], leakages: Sequence[float], target: Size) -> float:
    """Return the leakage of a tile from those of synthesized ones: of bit cells, of rows and
    columns, and of what every tile has once, as far as there are sizes to tell these apart.
    """

    def terms(size: Size) -> list[float]:
        rows, columns = size
        return [rows * columns, rows + columns, 1.0][: len(sizes)]

    matrix = np.array([terms(size) for size in sizes], float)
    # Errors are relative ones.
    scale = np.array(leakages, float)
    found = np.linalg.lstsq(matrix / scale[:, None], np.ones(len(sizes)), rcond=None)[0]
    return float(np.dot(terms(target), found))
