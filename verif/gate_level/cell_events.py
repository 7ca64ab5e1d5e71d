"""Events inside a cell from one cycle to the next, and the tables of their energy.

A cell is seen in two cycles that follow each other: ``before`` the clock's edge and ``after`` it.
Without delays all inputs of a cell change at once, where a library's tables have one input change
at a time: an output that toggles then takes the mean over the inputs that changed, each by the arc
that leads from it to the output in the state that the cell reached. Energy in an input pin that
leads to no output is a table of that pin.

Groups of one supply exclude each other: where several hold in a state they share it, and one
without ``when`` holds only where no other does. Energies and leakages of several supplies add up.
A reset or a set pin of a flip-flop is tied so that it never acts.

Of a flip-flop or a clock gate the clock rises with the values of before and falls with those of
after. Whatever changes in a cycle changes while the clock is high: right after its edge. A clock
that is gated off stays low.

The inverted clock rises in the second half of a cycle, with the values of after: a latch behind it
opens when its data is there, and a clock gate in front of it passes what its enable is then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell, Leakage, Pin, Power, Table
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
    or a latch what it stores counts as its last input.

    Attributes
    ----------
    inputs : pins of a state, but for the clock and what is tied
    stored : output whose value the state of a flip-flop or a latch holds, and whether inverted;
        None elsewhere
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


_Values = dict[str, np.ndarray]
"""Value of each input and output in every change."""


def cell_events(cell: Cell, *, inverted: bool = False, of_clock: bool = False) -> CellEvents:
    """Return the events of a cell.

    Parameters
    ----------
    inverted
        A clock gate on the inverted clock. (A latch always is on it, a flip-flop never.)
    of_clock
        An inverter of the clock: it switches with the clock, and its state has no inputs.
    """
    view: _Combinational | _Clocked | _ClockInverter
    if of_clock:
        view = _ClockInverter(cell)
    elif cell.sequential:
        view = _Clocked(cell, inverted=inverted or cell.sequential == "latch")
    else:
        view = _Combinational(cell)
    events = tuple(event for event in view.events() if event.weights.any())
    return CellEvents(view.inputs, view.stored, view.clock, events, view.leakage())


def _moments(inputs: list[str], *, clocked: bool) -> tuple[_Values, _Values, np.ndarray]:
    """Return the values of the inputs before and after, and whether the clock ticks, in every
    change.
    """
    size = len(inputs)
    change = np.arange(2 ** (2 * size + clocked))
    before = {name: (change >> j & 1).astype(bool) for j, name in enumerate(inputs)}
    after = {name: (change >> (size + j) & 1).astype(bool) for j, name in enumerate(inputs)}
    ticks = (change >> (2 * size) & 1).astype(bool)
    return before, after, ticks


def _holds(condition: str, values: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Return where a ``when`` holds; where there is none, always."""
    ones = np.ones(size, bool)
    if not condition:
        return ones
    return np.broadcast_to(evaluate(condition, {**values, "0": ~ones, "1": ones}), size)


def _edge_tables(power: Power) -> dict[bool, Table]:
    """Return the tables of a pin that rises, and of one that falls."""
    both = power.tables.get("power")
    found = {
        True: power.tables.get("rise_power", both),
        False: power.tables.get("fall_power", both),
    }
    return {rises: table for rises, table in found.items() if table is not None}


def _by_supply(powers: Iterable[Power], rises: bool) -> Iterator[list[Power]]:
    """Yield the groups that have a table of an edge, supply by supply."""
    supplies: dict[str, list[Power]] = {}
    for power in powers:
        if rises in _edge_tables(power):
            supplies.setdefault(power.supply, []).append(power)
    yield from supplies.values()


def _applying(
    groups: Sequence[Power | Leakage], *moments: Mapping[str, np.ndarray], size: int
) -> np.ndarray:
    """Share of each of the groups of one supply in every change: (groups, size).

    Those whose ``when`` holds at the first moment share alike; where none does, those that have no
    ``when``; then those whose ``when`` holds at the next moment.
    """
    share = np.zeros((len(groups), size))
    conditional = np.array([bool(group.when) for group in groups])
    for values in moments:
        holds = np.array([_holds(group.when, values, size) for group in groups], float)
        for chosen in (holds * conditional[:, None], holds * ~conditional[:, None]):
            share = np.where(share.any(0), share, chosen)
    shared: np.ndarray = share / np.maximum(share.sum(axis=0), 1)
    return shared


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
        toggles: np.ndarray = self.before[pin] != self.after[pin]
        return toggles

    def events(self) -> Iterator[Event]:
        for pin in self.cell.inputs:
            for rises in (True, False):
                moves = self.toggles(pin.name) & (self.after[pin.name] == rises)
                for powers in _by_supply(pin.powers, rises):
                    share = _applying(powers, self.after, size=self.size) * moves
                    for power, weights in zip(powers, share, strict=True):
                        table = _edge_tables(power)[rises]
                        yield Event(table, pin.name, rises, "", False, weights)
        for pin in self.cell.outputs:
            for rises in (True, False):
                for powers in _by_supply(pin.powers, rises):
                    yield from self._output_events(pin, powers, rises)

    def _output_events(self, output: Pin, powers: list[Power], rises: bool) -> Iterator[Event]:
        """Yield the events of an output's edge by the groups of one supply."""
        toggles = self.toggles(output.name) & (self.after[output.name] == rises)
        unrelated = [power for power in powers if not power.related_pin]
        arcs, shares = {}, {}
        for name in self.inputs:
            arcs[name] = [power for power in powers if power.related_pin == name] or unrelated
            if arcs[name]:
                shares[name] = self._shares(arcs[name]) * (toggles & self.toggles(name))
        known = sum((share.any(axis=0) for share in shares.values()), np.zeros(self.size))
        for name, share in shares.items():
            for power, part in zip(arcs[name], share, strict=True):
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

    def _shares(self, arcs: list[Power]) -> np.ndarray:
        """Share of each of the arcs from one input in every change: those that hold after it, else
        those that held before it, else all alike.
        """
        share = _applying(arcs, self.after, self.before, size=self.size)
        return np.where(share.any(axis=0), share, 1 / len(arcs))

    def leakage(self) -> np.ndarray:
        return _leakage(self.cell, [self.after], self.size)


class _Clocked:
    """A flip-flop, a latch or a clock gate.

    Values when the clock rises, when it falls, when data moves and when outputs do are told apart
    by the kind of cell, and whether its clock is the inverted one.
    """

    def __init__(self, cell: Cell, *, inverted: bool):
        self.cell = cell
        role = {pin.role: pin.name for pin in cell.inputs}
        self.clock = role.get("clock") or cell.clocked_on
        tied = cell.tied or {}
        self.moving = [pin for pin in cell.inputs if pin.name not in tied]
        data = [pin.name for pin in self.moving if pin.name != self.clock]
        self.stored = None
        self.stores = cell.sequential != "clock_gate"
        if self.stores:
            state, inverse = cell.state
            holder = next(
                (p for p in cell.outputs if p.function in (state, inverse)), cell.outputs[0]
            )
            self.stored = holder.name, holder.function == inverse
            data.append(state)
        self.inputs = tuple(data)
        self.before, self.after, self.ticks = _moments(data, clocked=True)
        self.size = len(self.ticks)
        zeros = np.zeros(self.size, bool)
        for values in (self.before, self.after):
            values |= {name: np.full(self.size, value) for name, value in tied.items()}
        if self.stores:
            for values in (self.before, self.after):
                values[inverse] = ~values[state]
                for pin in cell.outputs:
                    values[pin.name] = _holds(pin.function, values, self.size)
            self.passes = zeros
        else:
            enables = [pin.name for pin in cell.inputs if pin.role in ("enable", "test")]
            sampled = self.after if inverted else self.before
            self.passes = self.ticks & np.any([sampled[name] for name in enables], axis=0)
            for pin in cell.outputs:
                self.before[pin.name] = zeros
                self.after[pin.name] = self.passes
        self.before[self.clock], self.after[self.clock] = zeros, self.ticks
        low = {**self.after, self.clock: zeros}
        if not self.stores:
            low |= {pin.name: zeros for pin in cell.outputs}
        self.rising = self.output = self.before
        self.data = self.after
        self.phases = [self.after, low]
        if inverted:
            # Data moves first, while the clock is low; then the clock rises, and what is stored
            # follows.
            held = [*cell.state, *(pin.name for pin in cell.outputs)] if self.stores else []
            self.data = low | {name: self.before[name] for name in held}
            self.rising = self.output = self.data
            self.phases = [self.data, self.after]

    def events(self) -> Iterator[Event]:
        for pin in self.moving:
            for rises in (True, False):
                if pin.name == self.clock:
                    moves, values = self.ticks, self.rising if rises else self.after
                else:
                    moves = self.before[pin.name] != self.after[pin.name]
                    moves, values = moves & (self.after[pin.name] == rises), self.data
                for powers in _by_supply(pin.powers, rises):
                    share = _applying(powers, values, size=self.size) * moves
                    for power, weights in zip(powers, share, strict=True):
                        table = _edge_tables(power)[rises]
                        yield Event(table, pin.name, rises, "", pin.name == self.clock, weights)
        for pin in self.cell.outputs:
            by_clock = [power for power in pin.powers if power.related_pin == self.clock]
            by_clock = by_clock or [power for power in pin.powers if not power.related_pin]
            for rises in (True, False):
                if self.stores:
                    moves = self.before[pin.name] != self.after[pin.name]
                    moves, values = moves & (self.after[pin.name] == rises), self.output
                else:
                    moves, values = self.passes, self.output if rises else self.after
                for powers in _by_supply(by_clock, rises):
                    share = _applying(powers, values, size=self.size) * moves
                    for power, weights in zip(powers, share, strict=True):
                        table = _edge_tables(power)[rises]
                        edge = True if self.stores else rises
                        yield Event(table, self.clock, edge, pin.name, not self.stores, weights)

    def leakage(self) -> np.ndarray:
        return _leakage(self.cell, self.phases, self.size)


class _ClockInverter:
    """An inverter whose input is the clock: both edges come in every cycle in which it ticks."""

    stored = None
    inputs = ()

    def __init__(self, cell: Cell):
        self.cell = cell
        [source], [target] = cell.inputs, cell.outputs
        self.clock, self.target = source.name, target
        _, _, self.ticks = _moments([], clocked=True)
        high, low = np.ones(2, bool), np.zeros(2, bool)
        self.at = {
            True: {source.name: high, target.name: low},
            False: {source.name: low, target.name: high},
        }

    def events(self) -> Iterator[Event]:
        [source] = self.cell.inputs
        for pin, output in ((source, ""), (self.target, self.target.name)):
            for rises in (True, False):
                input_rises = rises != bool(output)
                for powers in _by_supply(pin.powers, rises):
                    share = _applying(powers, self.at[input_rises], size=2) * self.ticks
                    for power, weights in zip(powers, share, strict=True):
                        table = _edge_tables(power)[rises]
                        yield Event(table, source.name, input_rises, output, True, weights)

    def leakage(self) -> np.ndarray:
        return _leakage(self.cell, [self.at[True], self.at[False]], 2)


def _leakage(cell: Cell, phases: Sequence[Mapping[str, np.ndarray]], size: int) -> np.ndarray:
    """Return the nW in each change: what the library has for the state of each supply, added, or
    the cell's own figure in a state that it names for none.
    """
    supplies: dict[str, list[Leakage]] = {}
    for leakage in cell.leakages:
        supplies.setdefault(leakage.supply, []).append(leakage)
    total = np.zeros(size)
    for values in phases:
        known = np.zeros(size, bool)
        for groups in supplies.values():
            share = _applying(groups, values, size=size)
            total += np.array([group.power for group in groups]) @ share
            known |= share.any(axis=0)
        total += np.where(known, 0.0, cell.leakage)
    return total / len(phases)
