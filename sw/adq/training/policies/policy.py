"""Interface of a policy: densities, sensitivities and costs in, bits out."""

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adq.training.policies.limit import Limit

__all__ = ["Bits", "Observation", "Policy", "PolicyError", "one_bit_at_a_time"]

Bits = dict[str, int]
"""Bits of layers by name."""


class PolicyError(ValueError):
    """A decision that a policy cannot take. The message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Measurements that a policy decides from, at the end of an iteration.

    Layers are those whose bits the policy chooses. The first and the last layer are not among
    them, nor are convolutions on skip connections, which take the bits of the layer that they join.
    """

    bits: Mapping[str, int]
    """Present bits of each layer."""
    densities: Mapping[str, float]
    """Activation density of each layer that has a ReLU."""
    minimum_bits: int
    """Minimum bits of a layer."""
    seed: int = 0
    """Seed of a policy that chooses at random."""
    limit: Limit | None = None
    """Cost of each layer at each precision, and the cost to reach; None without either."""
    losses: Mapping[str, Mapping[int, float]] | None = None
    """Increase of the loss when one layer alone gets a precision; None if no policy asks for it."""


class Policy(abc.ABC):
    """Rule that chooses the bits of the next iteration.

    A policy has no state: the same observation gives the same bits, so that a resumed run takes
    the decisions of one that was never stopped.
    """

    needs_losses = False
    """True if it decides from ``Observation.losses``."""
    needs_costs = False
    """True if it decides from ``Observation.limit``, also where there is no budget."""

    @abc.abstractmethod
    def bits(self, now: Observation) -> Bits:
        """Return the bits of each layer in the next iteration. None has more bits than now."""

    def path(self, now: Observation) -> Iterator[Bits]:
        """Yield assignments from the present bits down to the least bits, in small steps.

        Where the next iteration would cost less than the budget, the network takes the assignment
        of the path whose cost is nearest to the budget. The default follows ``bits`` again and
        again, and lowers one layer at a time by one bit on the way there.
        """
        yield from one_bit_at_a_time(now.bits, self.bits(now))


def one_bit_at_a_time(start: Mapping[str, int], end: Mapping[str, int]) -> Iterator[Bits]:
    """Yield assignments from ``start`` to ``end``, lowering the layer with the most bits to go.

    Among equals, the last layer is lowered first.
    """
    bits = dict(start)
    yield dict(bits)
    while left := [name for name in bits if bits[name] > end[name]]:
        name = max(reversed(left), key=lambda each: bits[each] - end[each])
        bits[name] -= 1
        yield dict(bits)
