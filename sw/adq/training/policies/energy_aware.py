"""Policy that spends a budget of energy where it saves the most loss."""

from collections.abc import Iterator

import numpy as np

from adq.training.policies.limit import Limit
from adq.training.policies.policy import Bits, Observation, Policy, PolicyError

__all__ = ["EnergyAware", "allocate"]

KEPT = 0.25
"""Share of its layers' energy that an iteration keeps: what halving their bits would keep."""

RESOLUTION = 4000
"""Steps in which energy is counted in the search."""


class EnergyAware(Policy):
    """Gives layers the bits at which the network loses least for the energy that is left to it.

    An iteration keeps a quarter of the energy, or what the budget allows if that is more. The loss
    of the network counts as the sum of what its layers lose one by one.
    """

    needs_losses = True
    needs_costs = True

    def bits(self, now: Observation) -> Bits:
        if now.limit is None or now.losses is None:
            raise PolicyError(
                "energy-aware needs costs and losses: give Controller a tile and samples"
            )
        limit = now.limit
        spent = limit.cost(now.bits) - limit.fixed
        left = max(KEPT * spent, limit.target - limit.fixed)
        return allocate(now, limit, left)

    def path(self, now: Observation) -> Iterator[Bits]:
        """Yield the bits of least loss at the budget itself."""
        assert now.limit is not None
        yield allocate(now, now.limit, now.limit.target - now.limit.fixed)


def allocate(now: Observation, limit: Limit, energy: float) -> Bits:
    """Return the bits of least total loss that cost at most ``energy``.

    It is the multiple-choice knapsack problem, solved by dynamic programming over layers and steps
    of energy. Costs are rounded up to a step, so that the result never costs more; if even the
    least bits do, it is these.
    """
    assert now.losses is not None
    choices = {
        name: range(min(now.minimum_bits, present), present + 1)
        for name, present in now.bits.items()
    }
    least = {name: ks[0] for name, ks in choices.items()}
    if sum(limit.costs[name][k] for name, k in least.items()) >= energy:
        return least
    step = energy / RESOLUTION
    best = np.zeros(RESOLUTION + 1)  # least loss by steps of energy
    taken: list[np.ndarray] = []
    for name, ks in choices.items():
        options = []
        for k in ks:
            steps = int(np.ceil(limit.costs[name][k] / step))
            shifted = np.full(RESOLUTION + 1, np.inf)
            if steps <= RESOLUTION:
                shifted[steps:] = best[: RESOLUTION + 1 - steps] + now.losses[name][k]
            options.append(shifted)
        table = np.stack(options)
        taken.append(table.argmin(0))
        best = table.min(0)
    if not np.isfinite(best[-1]):  # rounding up leaves no room
        return least
    bits: Bits = {}
    place = RESOLUTION
    for (name, ks), choice in zip(reversed(choices.items()), reversed(taken), strict=True):
        bits[name] = ks[int(choice[place])]
        place -= int(np.ceil(limit.costs[name][bits[name]] / step))
    return {name: bits[name] for name in now.bits}
