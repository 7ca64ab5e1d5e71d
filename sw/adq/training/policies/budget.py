"""Budgets: a cost of one image, written as ``5 nJ/image``, at which lowering bits ends."""

import re
from dataclasses import dataclass

from adq.fields import ConfigError

__all__ = ["UNITS", "Budget"]

UNITS = {
    "pJ/image": ("energy", 1.0),
    "nJ/image": ("energy", 1e3),
    "uJ/image": ("energy", 1e6),
    "mJ/image": ("energy", 1e9),
    "cycles/image": ("cycles", 1.0),
    "kcycles/image": ("cycles", 1e3),
    "Mcycles/image": ("cycles", 1e6),
    "bitops/image": ("bit_operations", 1.0),
    "Mbitops/image": ("bit_operations", 1e6),
    "Gbitops/image": ("bit_operations", 1e9),
    "bits": ("average_bits", 1.0),
}
"""Quantity, and its size in pJ, cycles, bit operations or bits, by unit."""

_FORM = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(\S+)")


@dataclass(frozen=True)
class Budget:
    """Cost of an image that a network should have."""

    quantity: str
    """``energy`` in pJ, ``cycles``, ``bit_operations``, or ``average_bits`` of the MACs."""
    amount: float
    """Amount of the budget: pJ, cycles, bit operations or bits."""
    unit: str
    """One of ``UNITS``, in which the user wrote it."""

    @classmethod
    def parse(cls, text: str) -> "Budget | None":
        """Read a budget such as ``5 nJ/image``; an empty text is none.

        Raises
        ------
        ConfigError
            If the text is no amount and unit, or the amount is not more than 0.

        """
        if not text.strip():
            return None
        found = _FORM.fullmatch(text.strip())
        unit = found[2].replace("\N{MICRO SIGN}", "u") if found else ""
        if found is None or unit not in UNITS:
            raise ConfigError(
                f"budget is {text!r}: it must be a number and one of {', '.join(UNITS)}"
            )
        quantity, size = UNITS[unit]
        amount = float(found[1]) * size
        if not 0 < amount < float("inf"):
            raise ConfigError(f"budget is {text!r}: it must be more than 0")
        return cls(quantity, amount, unit)

    @property
    def needs_tile(self) -> bool:
        """Return whether the quantity is one of a tile."""
        return self.quantity in ("energy", "cycles")

    def shown(self, amount: float) -> str:
        """Return an amount of this quantity in the unit of the budget."""
        return f"{amount / UNITS[self.unit][1]:.4g} {self.unit}"
