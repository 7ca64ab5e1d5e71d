"""A cost to reach, and the assignment of bits that comes nearest to it."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["TOLERANCE", "Limit"]

TOLERANCE = 0.05
"""Largest distance from a budget that counts as met, as a share of the budget."""

_EXACT = 0.02
"""Distance at which the search for a nearer assignment ends."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Cost of a network by the bits of its layers, and the cost that it should have.

    The cost of a network is the sum of its layers' costs. A layer's cost rises with its bits.
    """

    costs: Mapping[str, Mapping[int, float]]
    """Cost of each layer at each precision that it may get."""
    fixed: float
    """Cost of the layers whose bits do not change."""
    target: float
    """Cost to reach."""

    def cost(self, bits: Mapping[str, int]) -> float:
        """Return the cost of an assignment."""
        return self.fixed + sum(self.costs[name][bits[name]] for name in self.costs)

    def distance(self, bits: Mapping[str, int]) -> float:
        """Return how far the cost of an assignment is from the target, as a share of it."""
        return abs(self.cost(bits) / self.target - 1)

    def nearest(
        self, path: Iterable[dict[str, int]], *, minimum: int, maximum: int
    ) -> dict[str, int]:
        """Return the assignment of a falling path whose cost is nearest to the target.

        Between two assignments of the path, bits may fall too far at once. Then the bits of one or
        two layers are changed, as little as possible, so that the cost is near enough; a layer may
        get back bits that it has lost.

        Parameters
        ----------
        path
            Assignments of falling bits; it is followed until one costs no more than the target.
        minimum, maximum
            Range of the bits of each layer.

        """
        best: dict[str, int] = {}
        for bits in path:
            if not best or self.distance(bits) < self.distance(best):
                best = bits
            if self.cost(bits) <= self.target:
                break
        if self.distance(best) <= _EXACT:
            return best
        return self._repaired(best, minimum, maximum)

    def _repaired(self, bits: dict[str, int], minimum: int, maximum: int) -> dict[str, int]:
        """Change one or two layers: the smallest change that is near enough, else the nearest."""
        cost = self.cost(bits)
        changes = [
            (name, k, self.costs[name][k] - self.costs[name][bits[name]], abs(k - bits[name]))
            for name in self.costs
            for k in range(minimum, maximum + 1)
        ]
        candidates = []
        for one, other in itertools.combinations_with_replacement(changes, 2):
            if one[0] == other[0] and one is not other:
                continue
            saved = one[2] + (other[2] if other is not one else 0.0)
            size = one[3] + (other[3] if other is not one else 0)
            distance = abs((cost + saved) / self.target - 1)
            near = distance <= _EXACT
            candidates.append(((not near, size if near else distance), distance, one, other))
        *_, one, other = min(candidates, key=lambda each: each[:2])
        return bits | {one[0]: one[1], other[0]: other[1]}
