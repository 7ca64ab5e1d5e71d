"""Definition of a proof: the design, its claim and its bound."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import Elaboratable

__all__ = ["FormalError", "Proof"]


class FormalError(RuntimeError):
    """Proofs cannot be run."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A design with properties, and how they are to be proved.

    Every proof has covers: situations that must be reachable under its assumptions. A proof whose
    assumptions exclude them would hold for want of cases.
    """

    name: str
    """Component, a dot, and what is claimed of it."""

    claim: str
    """In a sentence."""

    design: Callable[[], Elaboratable]
    """Makes the component with its properties and covers."""

    mode: Literal["prove", "bmc"]
    """``prove``: by induction, in every cycle. ``bmc``: in the first ``depth`` cycles."""

    depth: int
    """Cycles from reset in which the properties are shown; for ``prove`` also the longest run of
    good cycles from which induction concludes."""

    cover_depth: int | None = None
    """Cycles in which the covers must be reached; ``depth`` where it is not given."""

    engine: Literal["z3", "pdr"] = "z3"
    """``z3`` unrolls cycles, bounded or by induction; ``pdr``, property-directed reachability by
    ABC, shows properties in every cycle and needs no depth: covers alone are by Z3 then."""
