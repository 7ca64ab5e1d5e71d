"""Cells of a library: areas, pins and tables, in ns, fF, fJ, nW, um2, kohm and V."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Arc", "Cell", "Leakage", "Pin", "Power", "Table", "WireLoad"]


@dataclass(frozen=True, eq=False)
class Table:
    """Lookup table over up to two of slew (ns), clock slew (ns) and load (fF)."""

    axes: tuple[str, ...]
    indices: tuple[np.ndarray, ...]
    values: np.ndarray
    """ns of a delay, transition or constraint, fJ of an energy; one dimension an axis."""

    def at(self, **point: float | np.ndarray) -> float | np.ndarray:
        """Interpolate linearly between the nearest entries, and extrapolate beyond the ends, at one
        point or at many points.
        """
        many = np.broadcast(*point.values()) if point else np.broadcast(0.0)
        total = np.zeros(many.shape)
        corners: list[tuple[tuple[Any, ...], np.ndarray]] = [((), np.ones(many.shape))]
        for axis, index in zip(self.axes, self.indices, strict=True):
            if len(index) == 1:
                corners = [((*places, 0), share) for places, share in corners]
                continue
            low = np.clip(np.searchsorted(index, point[axis]) - 1, 0, len(index) - 2)
            upper = (point[axis] - index[low]) / (index[low + 1] - index[low])
            corners = [
                ((*places, low + step), share * part)
                for places, share in corners
                for step, part in ((0, 1 - upper), (1, upper))
            ]
        for places, share in corners:
            total = total + share * self.values[places]
        return total if total.shape else float(total)


@dataclass(frozen=True, eq=False)
class Arc:
    """A ``timing`` group: delay or constraint of a pin with respect to another one."""

    related_pin: str
    kind: str
    """Its ``timing_type``."""
    sense: str
    """``positive_unate``, ``negative_unate`` or ``non_unate``."""
    when: str
    tables: dict[str, Table]


@dataclass(frozen=True, eq=False)
class Power:
    """An ``internal_power`` group: energy inside the cell for a transition of the pin."""

    related_pin: str
    """Input that changed an output; empty where any does, and for changes of an input."""
    when: str
    supply: str
    """Supply or ground that it comes from (``related_pg_pin``); empty where the library has none.
    Groups of one supply exclude each other, those of several add up."""
    tables: dict[str, Table]


@dataclass(frozen=True)
class Leakage:
    """A ``leakage_power`` group."""

    when: str
    """State that it holds in; empty for every state that no other group of its supply names."""
    supply: str
    """Primary supply that it comes from; empty where the library has none."""
    power: float
    """nW"""


@dataclass(frozen=True, eq=False)
class Pin:
    """A signal pin of a cell."""

    name: str
    direction: str
    capacitance: float
    """fF: the larger of rise and fall, as the library's own ``capacitance``."""
    max_capacitance: float
    """fF that an output may drive; infinity where the library does not say."""
    function: str
    clock: bool
    role: str
    """In a clock gate: ``clock``, ``enable``, ``test`` or ``output``; otherwise empty."""
    arcs: tuple[Arc, ...]
    powers: tuple[Power, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell: its pins, tables and state."""

    name: str
    area: float
    """um2"""
    leakage: float
    """nW, with no regard to the state of its inputs."""
    leakages: tuple[Leakage, ...]
    """Leakage of each state that the library names, by supply."""
    pins: dict[str, Pin]
    sequential: str
    """``ff``, ``latch``, ``clock_gate`` or empty."""
    state: tuple[str, ...]
    """Names that the outputs' functions of a flip-flop or a latch have for what it stores, and for
    the complement."""
    next_state: str
    """Function that a flip-flop takes at its clock, and a latch while it is transparent."""
    clocked_on: str
    """Function on whose rise a flip-flop does so; a latch is transparent while it is high."""
    clear: str
    """Function that clears a flip-flop, whatever its clock does; empty for none."""
    preset: str
    """Function that presets a flip-flop, whatever its clock does; empty for none."""
    usable: bool
    """True if synthesis may take it: not told otherwise, and nothing between power domains."""

    @functools.cached_property
    def tied(self) -> dict[str, bool] | None:
        """Reset and set pins, and the value at which they do nothing; None where ``clear`` or
        ``preset`` is not a pin of its own.
        """
        tied: dict[str, bool] = {}
        for condition in filter(None, (self.clear, self.preset)):
            pin = condition.strip("() !'")
            inverted = (condition.count("!") + condition.count("'")) % 2 == 1
            if pin not in self.pins or pin in (self.clocked_on, self.next_state, *tied):
                return None
            tied[pin] = inverted
        return tied

    @property
    def inputs(self) -> list[Pin]:
        return [pin for pin in self.pins.values() if pin.direction == "input"]

    @property
    def outputs(self) -> list[Pin]:
        return [pin for pin in self.pins.values() if pin.direction == "output"]


@dataclass(frozen=True)
class WireLoad:
    """A wire load model: estimates the wire of a net from its fanout."""

    name: str = ""
    capacitance: float = 0.0
    """fF a unit of length."""
    resistance: float = 0.0
    """kohm a unit of length."""
    slope: float = 0.0
    """Length a further fanout, past the table's ends."""
    lengths: tuple[tuple[int, float], ...] = ()

    def length(self, fanout: np.ndarray) -> np.ndarray:
        """Return the wire lengths of nets with these fanouts."""
        fanout = np.asarray(fanout, float)
        if not self.lengths:
            return self.slope * fanout
        counts, lengths = np.array(self.lengths).T
        inside = np.interp(fanout, counts, lengths)
        outside = fanout - np.clip(fanout, counts[0], counts[-1])
        found: np.ndarray = np.maximum(inside + self.slope * outside, 0) * (fanout > 0)
        return found
