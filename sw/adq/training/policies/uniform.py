"""Policy of equal bits: the control that every mixed precision has to beat."""

from adq.training.policies.policy import Bits, Observation, Policy

__all__ = ["Uniform"]


class Uniform(Policy):
    """Gives every layer the same bits.

    With a budget, layers have the highest equal bits that it allows, and those that it leaves over
    go to the first layers, a bit each.
    """

    def __init__(self, bits: int):
        self.wanted = bits

    def bits(self, now: Observation) -> Bits:
        wanted = now.minimum_bits if now.limit is not None else self.wanted
        return {name: min(bits, wanted) for name, bits in now.bits.items()}
