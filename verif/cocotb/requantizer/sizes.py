"""Sizes of the requantizers under test."""

from dataclasses import dataclass

__all__ = ["NARROW", "WIDE", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """Parameters of a requantizer, and the name of its ports."""

    block: str
    accumulator_bits: int
    multiplier_bits: int = 16
    activation_bits: int = 16
    total_bits: int = 64

    @property
    def parameters(self) -> dict[str, int]:
        """Arguments of the requantizer, but for the first."""
        return {
            "multiplier_bits": self.multiplier_bits,
            "activation_bits": self.activation_bits,
            "total_bits": self.total_bits,
        }


WIDE = Sizes("requantizer", 48)
"""The requantizer of a platform."""

NARROW = Sizes("narrow_requantizer", 3, 3, 3, 8)
"""One whose operands can be exhausted."""
