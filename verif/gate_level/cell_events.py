"""What happens inside a cell from one cycle to the next, and which table has its energy.

A cell is seen in two cycles that follow each other: ``before`` the clock's edge and ``after`` it.
Without delays all inputs of a cell change at once, where a library's tables have one input change
at a time: an output that toggles then takes the mean over the inputs that changed, each by the arc
that leads from it to the output in the state that the cell reached. Energy in an input pin that
leads to no output is a table of that pin.

Of a flip-flop or a clock gate the clock rises with the values of before and falls with those of
after. Whatever changes in a cycle changes while the clock is high: right after its edge. A clock
that is gated off stays low.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell, Pin, Power, Table
from adq.verif.liberty.functions import evaluate

__all__ = ["CellEvents", "Event", "cell_events"]

CLOCKED = "clocked"


@dataclass(frozen=True)
class Event:
    """A table of a cell, and how often each change of the cell's state looks it up.

    Attributes
    ----------
    table : energy in fJ
    input_pin : pin whose slew the table is looked up by
    input_rises : whether that pin rises
    output_pin : pin whose load it is looked up by; empty where the energy is an input pin's
    clock : whether the clock's switching causes it, not that of data
    weights : float of shape (changes,)
    """

    table: Table
    input_pin: str
    input_rises: bool
    output_pin: str
    clock: bool
    weights: np.ndarray


@dataclass(frozen=True)
class CellEvents:
    """Events of a cell over its changes.

    A change is a number: ``before + after * 2**len(inputs)``, where a state has input ``j`` in bit
    ``j``; of a clocked cell, whether its clock ticks is the highest bit of all, and of a flip-flop
    what it stores counts as its last input.

    Attributes
    ----------
    inputs : pins of a state, but for the clock
    stored : output whose value a flip-flop's state holds, and whether inverted; None elsewhere
    clock : the clock pin, or empty
    events : tables with their weights
    leakage : nW in each change, the mean over the clock's phases
    """

    inputs: tuple[str, ...]
    stored: tuple[str, bool] | None
    clock: str
    events: tuple[Event, ...]
    leakage: np.ndarray

    @property
    def changes(self) -> int:
        """Number of changes."""
        return len(self.leakage)


def cell_events(cell: Cell) -> CellEvents:
    """Events of a combinational cell, a flip-flop or a clock gate."""
    view = _Clocked(cell) if cell.sequential else _Combinational(cell)
    events = tuple(event for event in view.events() if event.weights.any())
    return CellEvents(view.inputs, view.stored, view.clock, events, view.leakage())


def _moments(inputs: list[str], *, clocked: bool) -> tuple[dict, dict, np.ndarray]:
    """Values of the inputs before and after, and whether the clock ticks, in every change."""
    size = len(inputs)
    change = np.arange(2 ** (2 * size + clocked))
    before = {name: (change >> j & 1).astype(bool) for j, name in enumerate(inputs)}
    after = {name: (change >> (size + j) & 1).astype(bool) for j, name in enumerate(inputs)}
    ticks = (change >> (2 * size) & 1).astype(bool)
    return before, after, ticks


def _holds(condition: str, values: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Where a ``when`` holds; where there is none, always."""
    ones = np.ones(size, bool)
    if not condition:
        return ones
    return np.broadcast_to(evaluate(condition, {**values, "0": ~ones, "1": ones}), size)


def _edge_tables(power: Power) -> dict[bool, Table]:
    """Tables of a pin that rises, and of one that falls."""
    both = power.tables.get("power")
    found = {
        True: power.tables.get("rise_power", both),
        False: power.tables.get("fall_power", both),
    }
    return {rises: table for rises, table in found.items() if table is not None}


class _Combinational:
    stored = None
    clock = ""

    def __init__(self, cell: Cell):
        self.cell = cell
        self.inputs = tuple(pin.name for pin in cell.inputs)
        self.before, self.after, _ = _moments(list(self.inputs), clocked=False)
        self.size = 4 ** len(self.inputs)
        for values in (self.before, self.after):
            outputs = {pin.name: _holds(pin.function, values, self.size) for pin in cell.outputs}
            values.update(outputs)

    def toggles(self, pin: str) -> np.ndarray:
        return self.before[pin] != self.after[pin]

    def events(self) -> Iterator[Event]:
        for pin in self.cell.inputs:
            for power in pin.powers:
                holds = self.toggles(pin.name) & _holds(power.when, self.after, self.size)
                for rises, table in _edge_tables(power).items():
                    weights = (holds & (self.after[pin.name] == rises)).astype(float)
                    yield Event(table, pin.name, rises, "", False, weights)
        for pin in self.cell.outputs:
            yield from self._output_events(pin)

    def _output_events(self, output: Pin) -> Iterator[Event]:
        for rises in (True, False):
            toggles = self.toggles(output.name) & (self.after[output.name] == rises)
            shares = {}  # input -> share of each of its arcs
            for name in self.inputs:
                arcs = [p for p in output.powers if p.related_pin == name]
                arcs = [p for p in arcs if rises in _edge_tables(p)]
                shares[name] = self._shares(arcs, toggles & self.toggles(name))
            known = sum((s.any(axis=0) for s in shares.values() if len(s)), np.zeros(self.size))
            for name, share in shares.items():
                arcs = [p for p in output.powers if p.related_pin == name]
                arcs = [p for p in arcs if rises in _edge_tables(p)]
                for power, part in zip(arcs, share, strict=True):
                    weights = part / np.maximum(known, 1)
                    for input_rises in (True, False):
                        yield Event(
                            _edge_tables(power)[rises],
                            name,
                            input_rises,
                            output.name,
                            False,
                            weights * (self.after[name] == input_rises),
                        )

    def _shares(self, arcs: list[Power], where: np.ndarray) -> np.ndarray:
        """Of arcs from one input, the share of each in every change: those that hold after it,
        else those that held before it, else all alike.
        """
        after = np.array([_holds(arc.when, self.after, self.size) for arc in arcs], float)
        before = np.array([_holds(arc.when, self.before, self.size) for arc in arcs], float)
        if not len(arcs):
            return np.zeros((0, self.size))
        share = np.where(after.any(0), after, np.where(before.any(0), before, 1.0))
        return share / share.sum(axis=0) * where

    def leakage(self) -> np.ndarray:
        return _leakage(self.cell, [self.after], self.size)


class _Clocked:
    def __init__(self, cell: Cell):
        self.cell = cell
        role = {pin.role: pin.name for pin in cell.inputs}
        self.clock = role.get("clock") or cell.clocked_on
        data = [pin.name for pin in cell.inputs if pin.name != self.clock]
        self.stored = None
        if cell.sequential == "ff":
            state, inverse = cell.state
            holder = next(
                (p for p in cell.outputs if p.function in (state, inverse)), cell.outputs[0]
            )
            self.stored = holder.name, holder.function == inverse
            data.append(state)
        self.inputs = tuple(data)
        self.before, self.after, self.ticks = _moments(data, clocked=True)
        self.size = len(self.ticks)
        zeros, ones = np.zeros(self.size, bool), np.ones(self.size, bool)
        if cell.sequential == "ff":
            for values in (self.before, self.after):
                values[inverse] = ~values[state]
                for pin in cell.outputs:
                    values[pin.name] = _holds(pin.function, values, self.size)
            self.passes = zeros
        else:
            enables = [pin.name for pin in cell.inputs if pin.role in ("enable", "test")]
            self.passes = self.ticks & np.any([self.before[name] for name in enables], axis=0)
            for pin in cell.outputs:
                self.before[pin.name] = zeros
                self.after[pin.name] = self.passes
        self.before[self.clock], self.after[self.clock] = zeros, self.ticks
        self.low = {**self.after, self.clock: zeros}
        if cell.sequential != "ff":
            self.low |= {pin.name: zeros for pin in cell.outputs}
        self.ones = ones

    def events(self) -> Iterator[Event]:
        gate = self.cell.sequential != "ff"
        for pin in self.cell.inputs:
            for power in pin.powers:
                tables = _edge_tables(power)
                if pin.name == self.clock:
                    moments = {
                        True: self.ticks & _holds(power.when, self.before, self.size),
                        False: self.ticks & _holds(power.when, self.after, self.size),
                    }
                else:
                    toggles = self.before[pin.name] != self.after[pin.name]
                    holds = toggles & _holds(power.when, self.after, self.size)
                    moments = {rises: holds & (self.after[pin.name] == rises) for rises in tables}
                for rises, table in tables.items():
                    weights = moments[rises].astype(float)
                    yield Event(table, pin.name, rises, "", pin.name == self.clock, weights)
        for pin in self.cell.outputs:
            for power in pin.powers:
                for rises, table in _edge_tables(power).items():
                    if gate:
                        values = self.before if rises else self.after
                        weights = self.passes & _holds(power.when, values, self.size)
                    else:
                        toggles = self.before[pin.name] != self.after[pin.name]
                        weights = toggles & (self.after[pin.name] == rises)
                        weights = weights & _holds(power.when, self.before, self.size)
                    clock_rises = rises if gate else True
                    yield Event(
                        table, self.clock, clock_rises, pin.name, gate, weights.astype(float)
                    )

    def leakage(self) -> np.ndarray:
        return _leakage(self.cell, [self.after, self.low], self.size)


def _leakage(cell: Cell, phases: list[Mapping[str, np.ndarray]], size: int) -> np.ndarray:
    """NW in each change: of the state that the library names, or the cell's own figure."""
    total = np.zeros(size)
    for values in phases:
        known = np.zeros(size, bool)
        for condition, power in cell.leakages:
            here = _holds(condition, values, size) & ~known
            total += np.where(here, power, 0.0)
            known |= here
        total += np.where(known, 0.0, cell.leakage)
    return total / len(phases)
