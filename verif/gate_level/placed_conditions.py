"""Conditions of energies that were measured on a placed netlist."""

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["PlacedConditions"]


@dataclass(frozen=True)
class PlacedConditions:
    """How a measured netlist was placed. Its energies have wires, clock tree and glitches in them.

    Attributes
    ----------
    die_um2, utilization, seed : of the placement
    activity : whether nets were weighted by their activity
    longest_path_ns : with the wires, and the clock as its tree brings it
    """

    die_um2: float
    utilization: float
    seed: int
    activity: bool
    longest_path_ns: float

    @classmethod
    def from_json(cls, content: Any) -> "PlacedConditions | None":
        """Return what ``dataclasses.asdict`` gave; None for None.

        Raises
        ------
        TypeError
            If it is anything else.
        """
        if content is None:
            return None
        found = cls(**content)
        for field in fields(cls):
            value = getattr(found, field.name)
            if type(value) is not field.type and not (field.type is float and type(value) is int):
                raise TypeError(f"layout: {field.name}: {value!r:.40} is no {field.type}")
        return found
