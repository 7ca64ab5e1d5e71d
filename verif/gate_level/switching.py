"""Counts of what every cell and net of a netlist did, from the recorded values of its nets."""

import functools
import operator
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adq.verif.gate_level.cell_events import CellEvents, cell_events
from adq.verif.gate_level.simulated_netlist import WORD, recorded_nets
from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.synthesis.clock.clock_phase import ClockPhases, is_inverter
from adq.verif.synthesis.netlist import Instance, Net, Netlist, wired

__all__ = ["CellKind", "Counts", "Switching", "SwitchingError", "read_recording"]

CHUNK = 512
"""Cycles that are looked at together: what they need fits a cache."""


class SwitchingError(ValueError):
    """A netlist, or a recording, of which switching cannot be counted."""


def read_recording(path: Path, nets: int) -> np.ndarray:
    """Return the values of nets, as a simulation left them: uint8 of shape (cycles, bytes of all
    nets).

    Raises
    ------
    SwitchingError
        If the file is not of a whole number of cycles, or of fewer than two.
    """
    row = -(-nets // WORD) * WORD // 8
    octets = np.fromfile(path, np.uint8)
    if octets.size % row or octets.size < 2 * row:
        raise SwitchingError(
            f"{path}: {octets.size} bytes are not two or more cycles of {nets} nets "
            f"({row} bytes each): the simulation broke off, or is of another netlist"
        )
    return octets.reshape(-1, row)


@dataclass(frozen=True)
class CellKind:
    """The instances of one cell.

    Attributes
    ----------
    instances : numbers in the netlist
    inputs : rows of nets, of shape (inputs, instances); -1 for a constant 0, -2 for a 1
    clocks : row of each one's clock among the clocks, of clocked cells
    """

    cell: str
    events: CellEvents
    instances: np.ndarray
    inputs: np.ndarray
    clocks: np.ndarray


@dataclass
class Counts:
    """Changes of cells and toggles of nets in some cycles.

    Attributes
    ----------
    cycles : clock edges
    changes : for each kind of cell, counts of its changes, of shape (instances, changes)
    toggles, ones : of each net, its toggles and the cycles after whose edge it was 1; of a clock,
        two toggles a tick
    """

    cycles: int
    changes: list[np.ndarray]
    toggles: np.ndarray
    ones: np.ndarray

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.cycles + other.cycles,
            [a + b for a, b in zip(self.changes, other.changes, strict=True)],
            self.toggles + other.toggles,
            self.ones + other.ones,
        )


class Switching:
    """Counts switching of a netlist.

    Every net is a row of the recording and is counted once; a clock's ticks follow from the enables
    of the gates in front of it.

    Parameters
    ----------
    clock
        Port of the clock.

    Raises
    ------
    SwitchingError
        If a clock comes out of anything but a clock gate or an inverter, a flip-flop is on the
        inverted clock or a latch is not, or a flip-flop's reset or set may act.
    """

    def __init__(self, netlist: Netlist, library: Library, *, clock: str):
        self.netlist, self.library = netlist, library
        self.nets = recorded_nets(netlist)
        self.row: dict[Net, int] = {net: i for i, net in enumerate(self.nets)}
        self.row |= {"0": -1, "x": -1, "1": -2}
        root = netlist.clock_net(clock)
        self._find_clocks(root)
        self.kinds = self._kinds()

    def _find_clocks(self, root: int) -> None:
        """Find the clocks, each behind its gate's own clock, and the enables of their gates."""
        gates: dict[Net, list[dict[str, Net]]] = defaultdict(list)  # by the clock in front of them
        inverters: dict[Net, list[Net]] = defaultdict(list)
        for instance in self.netlist.instances:
            cell = self.library.cells[instance.cell]
            if cell.sequential == "clock_gate":
                pins = {pin.role: instance.pins[pin.name] for pin in cell.pins.values() if pin.role}
                gates[pins["clock"]].append(pins)
            elif len(cell.inputs) == 1 and is_inverter(cell):
                source, target = cell.inputs[0].name, cell.outputs[0].name
                inverters[instance.pins[source]].append(instance.pins[target])
        self.clocks: list[int] = [root]
        self.enables: list[tuple[int, ...]] = [()]
        self.parents = [-1]
        self.inverted = [False]
        for parent, net in enumerate(self.clocks):  # grows as gates behind gates are found
            for output in inverters.get(net, []):
                self.clocks.append(wired(output))
                self.parents.append(parent)
                self.enables.append(())
                self.inverted.append(not self.inverted[parent])
            for pins in gates.pop(net, []):
                self.clocks.append(wired(pins["output"]))
                self.parents.append(parent)
                self.inverted.append(self.inverted[parent])
                self.enables.append(
                    tuple(self.row[pins[role]] for role in ("enable", "test") if role in pins)
                )
        if gates:
            raise SwitchingError(
                f"{self.netlist.name}: {len(gates)} clocks come out of other cells than clock gates"
            )
        self.clock_number: dict[Net, int] = {net: i for i, net in enumerate(self.clocks)}

    def _kinds(self) -> list[CellKind]:
        members: dict[tuple[str, bool, bool], list[tuple[int, Instance]]] = defaultdict(list)
        phases = ClockPhases(self.netlist, self.library)
        for number, instance in enumerate(self.netlist.instances):
            cell = self.library.cells[instance.cell]
            of_clock = not cell.sequential and any(
                instance.pins[pin.name] in self.clock_number for pin in cell.outputs
            )
            inverted = phases.gate_is_inverted(instance)
            members[instance.cell, inverted, of_clock].append((number, instance))
        kinds = []
        for (name, inverted, of_clock), found in members.items():
            cell = self.library.cells[name]
            for _, instance in found:
                self._check_tied(cell, instance)
            try:
                events = cell_events(cell, inverted=inverted, of_clock=of_clock)
            except ValueError as error:
                raise SwitchingError(f"{self.library.path}: cell {name}: {error}") from None
            kinds.append(
                CellKind(
                    cell=name,
                    events=events,
                    instances=np.array([number for number, _ in found]),
                    inputs=np.array([self._inputs(events, i) for _, i in found]).T,
                    clocks=np.array([self._clock(events, i) for _, i in found], int),
                )
            )
        return kinds

    def _check_tied(self, cell: Cell, instance: Instance) -> None:
        """Make sure that the reset and the set of a flip-flop never act: they are not counted."""
        for pin, value in (cell.tied or {}).items():
            if cell.sequential == "ff" and instance.pins.get(pin) != str(int(value)):
                raise SwitchingError(
                    f"{self.netlist.name}: {instance.name} has a {pin} that is not tied to "
                    f"{int(value)}: a reset or set without a clock is not counted"
                )

    def _inputs(self, events: CellEvents, instance: Instance) -> list[int]:
        pins = events.inputs[:-1] if events.stored else events.inputs
        rows = [self.row[instance.pins[pin]] for pin in pins]
        if events.stored:
            rows.append(self.row[instance.pins[events.stored[0]]])
        return rows

    def _clock(self, events: CellEvents, instance: Instance) -> int:
        if not events.clock:
            return 0
        net = instance.pins[events.clock]
        if net not in self.clock_number:
            raise SwitchingError(
                f"{self.netlist.name}: {instance.name} has a clock that is no clock gate's"
            )
        number = self.clock_number[net]
        kind = self.library.cells[instance.cell].sequential
        if kind in ("ff", "latch") and self.inverted[number] != (kind == "latch"):
            raise SwitchingError(
                f"{self.netlist.name}: {instance.name} is a {kind} on "
                f"{'the inverted' if kind == 'ff' else 'a rising'} clock, which is not counted"
            )
        return number

    def count(self, recording: np.ndarray, first: int, last: int) -> Counts:
        """Count over the clock edges ``first`` to ``last - 1``; edge ``n`` leads from cycle ``n``
        of the recording to the next one.

        Raises
        ------
        SwitchingError
            If there are no such edges.
        """
        if not 0 <= first < last < len(recording):
            raise SwitchingError(
                f"edges {first} to {last} are not among the {len(recording) - 1} of the recording"
            )
        parts = (
            self._count(recording[start : min(start + CHUNK, last) + 1])
            for start in range(first, last, CHUNK)
        )
        total = next(parts)
        for part in parts:
            total += part
        return total

    def count_spans(self, recording: np.ndarray, spans: Iterable[tuple[int, int]]) -> Counts:
        """Count over several spans of edges; see :meth:`count`."""
        return functools.reduce(
            operator.add, (self.count(recording, first, last) for first, last in spans)
        )

    def ticks(self, recording: np.ndarray) -> np.ndarray:
        """Return whether each clock ticks at each edge of a recording: uint8 of shape (clocks,
        edges).
        """
        return self._ticks(self._values(recording))

    def _ticks(self, values: np.ndarray) -> np.ndarray:
        ticks = np.zeros((len(self.clocks), values.shape[1] - 1), np.uint8)
        ticks[0] = 1
        for clock in range(1, len(self.clocks)):
            ticks[clock] = ticks[self.parents[clock]]
            if self.enables[clock]:
                # The inverted clock ticks behind the edge, by what its gate's enable is then.
                cycles = slice(1, None) if self.inverted[clock] else slice(None, -1)
                ticks[clock] &= values[list(self.enables[clock]), cycles].max(axis=0)
        return ticks

    def _values(self, recording: np.ndarray) -> np.ndarray:
        """Return the values of every net in every cycle, and of the constants behind them."""
        bits = np.unpackbits(recording, axis=1, bitorder="little")[:, : len(self.nets)]
        values = np.zeros((len(self.nets) + 2, len(bits)), np.uint8)
        values[: len(self.nets)] = bits.T
        values[-2] = 1  # rows -1 and -2 are the constants
        return values

    def _count(self, recording: np.ndarray) -> Counts:
        values = self._values(recording)
        cycles = values.shape[1]
        ticks = self._ticks(values)
        own = values[: len(self.nets)]
        toggles = np.count_nonzero(own[:, 1:] != own[:, :-1], axis=1)
        ones = own[:, 1:].sum(axis=1, dtype=np.int64)
        clock_rows = [self.row[net] for net in self.clocks]
        toggles[clock_rows] = 2 * ticks.sum(axis=1, dtype=np.int64)
        ones[clock_rows] = toggles[clock_rows] // 2
        return Counts(
            cycles - 1, [self._changes(kind, values, ticks) for kind in self.kinds], toggles, ones
        )

    def _changes(self, kind: CellKind, values: np.ndarray, ticks: np.ndarray) -> np.ndarray:
        size = len(kind.inputs)
        wide = np.uint8 if size <= 4 else np.uint16
        state = np.zeros((len(kind.instances), values.shape[1]), wide)
        for j, rows in enumerate(kind.inputs):
            column = values[rows]
            if kind.events.stored and kind.events.stored[1] and j == size - 1:
                column = column ^ 1
            state |= column.astype(wide) << j
        change = state[:, :-1].astype(np.int32) | state[:, 1:].astype(np.int32) << size
        if kind.events.clock:
            change |= ticks[kind.clocks].astype(np.int32) << (2 * size)
        number = kind.events.changes
        change += np.arange(len(change), dtype=np.int32)[:, None] * number
        counts = np.bincount(change.ravel(), minlength=len(change) * number)
        return counts.reshape(len(change), number)
