"""Wires and clock arrival times of a placed netlist."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Parasitics"]


@dataclass(frozen=True)
class Parasitics:
    """Wires of a placed netlist, net by net, and when the clock reaches each instance.

    Attributes
    ----------
    capacitance : fF of each net's wire, pins apart; nets that are not in it have no wire
    resistance : kohm of each net
        The Elmore delay to the farthest pin over the net's load, pins included.
    clock_arrival : ns of each clocked instance by name, from the first that is reached on
    clock_slew : ns at the clock pins; None for an ideal clock
    port_arrival : ns at which inputs change, and outputs are taken, on the same scale
    """

    capacitance: Mapping[int, float]
    resistance: Mapping[int, float]
    clock_arrival: Mapping[str, float] = field(default_factory=dict)
    clock_slew: float | None = None
    port_arrival: float = 0.0
