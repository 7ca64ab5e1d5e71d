"""Rectilinear Steiner trees of nets, many nets at a time.

Edges are inserted as in Prim's algorithm, and an edge of the tree stands for all shortest ways
between its ends: the next pin is the one nearest to the tree, and joins it at a Steiner point in
the rectangle that an edge spans. Every pin is tried as the start, where a net has few. Trees of up
to three pins are minimal; larger ones are held against minimal trees in the tests.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["SteinerTrees", "steiner_trees"]

MOST_STARTS = 8
"""Pins of a net up to which each is tried as the start."""

CHUNK = 2_000_000
"""Distances that are looked at together."""

ROOT, UNUSED = -1, -2


@dataclass(frozen=True)
class SteinerTrees:
    """Trees of nets with the same number of pins.

    Attributes
    ----------
    x, y : float64 of shape (nets, nodes)
        Positions: the pins in the order that they were given in, then Steiner points.
    parent : int64 of shape (nets, nodes)
        The node towards pin 0, which has -1; -2 for nodes that a tree does not use.
    """

    x: np.ndarray
    y: np.ndarray
    parent: np.ndarray

    @cached_property
    def edges(self) -> np.ndarray:
        """Length of the edge from each node to its parent: (nets, nodes), 0 for the root."""
        rows = np.arange(len(self.x))[:, None]
        up = np.maximum(self.parent, 0)
        lengths = np.abs(self.x - self.x[rows, up]) + np.abs(self.y - self.y[rows, up])
        return np.where(self.parent >= 0, lengths, 0.0)

    @cached_property
    def length(self) -> np.ndarray:
        """Total length of each tree: (nets,)."""
        length: np.ndarray = self.edges.sum(axis=1)
        return length


def steiner_trees(x: np.ndarray, y: np.ndarray) -> SteinerTrees:
    """Connect the pins of each net.

    Parameters
    ----------
    x, y : float of shape (nets, pins)
        Positions of pins; pin 0 becomes the root. At least one pin.
    """
    nets, pins = x.shape
    size = max(1, CHUNK // (pins * pins * 2 * _starts(pins)))
    parts = [_trees(x[low : low + size], y[low : low + size]) for low in range(0, nets, size)]
    if not parts:
        nodes = 2 * pins
        return SteinerTrees(np.zeros((0, nodes)), np.zeros((0, nodes)), np.zeros((0, nodes), int))
    return SteinerTrees(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("x", "y", "parent"))
    )


def _starts(pins: int) -> int:
    """Return how many pins of a net are tried as the start."""
    return pins if 3 < pins <= MOST_STARTS else 1


def _trees(x: np.ndarray, y: np.ndarray) -> SteinerTrees:
    nets, pins = x.shape
    starts = _starts(pins)
    # Each net has a row for each start: all of them are grown by the same array operations.
    tried = _grow(
        np.repeat(x, starts, axis=0), np.repeat(y, starts, axis=0), np.tile(range(starts), nets)
    )
    lengths = tried.length.reshape(nets, starts)
    # Lengths that differ by rounding count as equal, and the first start wins.
    best = (lengths <= lengths.min(axis=1, keepdims=True) + 1e-9).argmax(axis=1)
    best += np.arange(nets) * starts
    found = SteinerTrees(tried.x[best], tried.y[best], tried.parent[best])
    _root_at_first(found.parent)
    return found


def _grow(pin_x: np.ndarray, pin_y: np.ndarray, start: np.ndarray) -> SteinerTrees:
    """Trees that are grown from one pin of each net."""
    nets, pins = pin_x.shape
    nodes = 2 * pins
    rows = np.arange(nets)
    x, y = np.zeros((2, nets, nodes))
    x[:, :pins], y[:, :pins] = pin_x, pin_y
    parent = np.full((nets, nodes), UNUSED)
    parent[rows, start] = ROOT
    free = np.ones((nets, pins), bool)
    free[rows, start] = False
    for step in range(pins - 1):
        # Edges that may be joined, by their lower node; the root stands for itself.
        tree = parent != UNUSED
        up = np.where(parent >= 0, parent, start[:, None])
        ends = x[rows[:, None], up], y[rows[:, None], up]
        joint_x = _between(pin_x, x, ends[0])
        joint_y = _between(pin_y, y, ends[1])
        distance = np.abs(pin_x[:, :, None] - joint_x) + np.abs(pin_y[:, :, None] - joint_y)
        distance[~(free[:, :, None] & tree[:, None, :])] = np.inf
        pin, edge = np.divmod(distance.reshape(nets, -1).argmin(axis=1), nodes)
        node = pins + step  # a Steiner point, even where it falls on an end of the edge
        x[:, node], y[:, node] = joint_x[rows, pin, edge], joint_y[rows, pin, edge]
        above = parent[rows, edge]
        inner = above >= 0
        parent[rows, node] = np.where(inner, above, UNUSED)
        parent[rows[inner], edge[inner]] = node
        parent[rows, pin] = np.where(inner, node, edge)
        free[rows, pin] = False
    return SteinerTrees(x, y, parent)


def _between(pins: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the coordinate nearest to each pin between an edge's ends: (nets, pins, nodes)."""
    low, high = np.minimum(one, other)[:, None, :], np.maximum(one, other)[:, None, :]
    found: np.ndarray = np.minimum(np.maximum(pins[:, :, None], low), high)
    return found


def _root_at_first(parent: np.ndarray) -> None:
    """Turn edges around, so that pin 0 is the root."""
    rows = np.arange(len(parent))
    node, before = np.zeros(len(parent), int), np.full(len(parent), ROOT)
    while rows.size:
        above = parent[rows, node]
        parent[rows, node] = before
        inner = above >= 0
        rows, node, before = rows[inner], above[inner], node[inner]
