"""Policies that multiply bits by a density: the paper's rule, and two controls of it.

The paper's rule is k_l <- round(k_l * AD_l). The controls apply it with the densities of other
layers. They give the network the same set of bits, dealt to its layers at random (``random``) or
in reverse order (``inverse``): if density chooses bits well, both must do worse.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from adq.training.policies.policy import Bits, Observation, Policy

__all__ = ["ActivationDensity", "Inverse", "Random", "scaled"]

STEPS = 32
"""Steps of the path to the next iteration."""

HIGHEST = 0.98
"""Highest density on the path to a budget: a layer at density 1 would never lose a bit."""


def scaled(value: int, density: float, minimum: int) -> int:
    """Return the bits or channels for a density: max(minimum, round(value * density)).

    The result never exceeds ``value``, even if ``value`` is below the minimum.
    """
    return min(value, max(minimum, math.floor(value * density + 0.5)))


class ActivationDensity(Policy):
    """The paper's rule: k_l <- round(k_l * AD_l). A layer without a density keeps its bits."""

    def densities(self, now: Observation) -> Mapping[str, float]:
        """Return the density by which each layer is scaled."""
        return {name: now.densities[name] for name in now.bits if name in now.densities}

    def bits(self, now: Observation) -> Bits:
        densities = self.densities(now)
        return {
            name: scaled(bits, densities.get(name, 1.0), now.minimum_bits)
            for name, bits in now.bits.items()
        }

    def path(self, now: Observation) -> Iterator[Bits]:
        """Yield round(k_l * AD_l^t) for rising t: a part of an iteration, or several of them."""
        densities = self.densities(now)
        for step in range(10**6):
            bits = {
                name: scaled(
                    present,
                    min(densities[name], HIGHEST) ** (step / STEPS) if name in densities else 1.0,
                    now.minimum_bits,
                )
                for name, present in now.bits.items()
            }
            yield bits
            if all(bits[name] <= now.minimum_bits for name in densities):
                return


class Random(ActivationDensity):
    """Control: each layer is scaled by the density of a layer drawn at random, once a seed.

    The densities are never all dealt to their own layers: that would be the paper's rule.
    """

    def densities(self, now: Observation) -> Mapping[str, float]:
        own = super().densities(now)
        generator = np.random.default_rng(now.seed)
        order = generator.permutation(len(own))
        while len(own) > 1 and (order == np.arange(len(own))).all():
            order = generator.permutation(len(own))
        values = list(own.values())
        return {name: values[place] for name, place in zip(own, order, strict=True)}


class Inverse(ActivationDensity):
    """Control: the densest layer is scaled by the lowest density, and so on in reverse order."""

    def densities(self, now: Observation) -> Mapping[str, float]:
        own = super().densities(now)
        rising = sorted(own, key=own.__getitem__)
        return {name: own[other] for name, other in zip(rising, reversed(rising), strict=True)}
