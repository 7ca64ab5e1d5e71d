"""Timing tables of a library as arrays, for lookups of many values at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Arc, Cell, Table
from adq.verif.liberty.library import Library

__all__ = ["CellTiming", "TimingError", "TimingTables"]

RISE, FALL = 0, 1
CLOCK = -1
"""In the place of a pin: the ideal clock."""

COMBINATIONAL = {
    "combinational": (RISE, FALL),
    "combinational_rise": (RISE,),
    "combinational_fall": (FALL,),
}


CHECKS = {
    False: ("setup_rising", "hold_rising"),
    True: ("setup_falling", "hold_falling"),
}
"""Constraints on data of a flip-flop, and of a latch, which keeps what it has when it closes."""

LEADS: dict[str, dict[int, tuple[int, ...]]] = {
    "positive_unate": {RISE: (RISE,), FALL: (FALL,)},
    "negative_unate": {RISE: (FALL,), FALL: (RISE,)},
}
"""Edges of an output that follow on each edge of an input, by the sense of the arc."""

ANY_LEADS: dict[int, tuple[int, ...]] = {RISE: (RISE, FALL), FALL: (RISE, FALL)}
"""Edges of an output that follow, for an arc of any other sense."""


class TimingError(ValueError):
    """A netlist or a library cannot be timed."""


@dataclass(frozen=True)
class CellTiming:
    """Timing of a cell, with its pins as numbers."""

    pins: list[str]
    is_input: list[bool]
    capacitance: list[float]
    """fF, of inputs; outputs have none."""
    follows: list[tuple[int, int]]
    """Pairs of an input and an output that follows it within the cycle."""
    arcs: list[tuple[int, int, int, int, int, int]]
    """Input or clock, its edge, output, its edge, numbers of delay and transition table."""
    setups: list[tuple[int, int, int]]
    """Input, its edge, number of the table of its setup time."""
    holds: list[tuple[int, int, int]]
    """Input, its edge, number of the table of its hold time."""


class TimingTables:
    """Timing tables of a library's cells, each loaded on first use."""

    def __init__(self, library: Library):
        self.library = library
        self.cells: dict[str, CellTiming] = {}
        self.numbers: dict[int, int] = {}
        self.tables: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.packed = 0

    def of(self, cell: str) -> CellTiming:
        """Return the timing of a cell.

        Raises
        ------
        TimingError
            If the library has no such cell, or a table of it cannot be looked up.
        """
        if cell not in self.cells:
            if cell not in self.library.cells:
                raise TimingError(f"the library {self.library.name} has no cell {cell}")
            try:
                self.cells[cell] = self._timing(self.library.cells[cell])
            except TimingError as error:
                raise TimingError(f"cell {cell}: {error}") from None
        return self.cells[cell]

    def _timing(self, cell: Cell) -> CellTiming:
        pins = list(cell.pins)
        arcs: list[tuple[int, int, int, int, int, int]] = []
        setups: list[tuple[int, int, int]] = []
        holds: list[tuple[int, int, int]] = []
        follows: dict[tuple[int, int], None] = {}
        for target, pin in enumerate(cell.pins.values()):
            for arc in pin.arcs:
                if arc.related_pin not in cell.pins:
                    raise TimingError(f"pin {pin.name}: no related pin {arc.related_pin!r}")
                source = pins.index(arc.related_pin)
                if arc.kind in CHECKS[cell.sequential == "latch"]:
                    checks = setups if arc.kind.startswith("setup") else holds
                    for edge, name in enumerate(("rise_constraint", "fall_constraint")):
                        if name in arc.tables:
                            checks.append((target, edge, self._add(arc.tables[name], "clock_slew")))
                elif arc.kind == "rising_edge":
                    arcs += self._arcs(arc, CLOCK, {RISE: (RISE, FALL)}, target)
                elif arc.kind in COMBINATIONAL and not cell.sequential:
                    edges = COMBINATIONAL[arc.kind]
                    leads = LEADS.get(arc.sense, ANY_LEADS)
                    leads = {e: tuple(t for t in ts if t in edges) for e, ts in leads.items()}
                    arcs += self._arcs(arc, source, leads, target)
                    follows[source, target] = None
        return CellTiming(
            pins=pins,
            is_input=[pin.direction == "input" for pin in cell.pins.values()],
            capacitance=[
                pin.capacitance if pin.direction == "input" else 0.0 for pin in cell.pins.values()
            ],
            follows=list(follows),
            arcs=list(dict.fromkeys(arcs)),
            setups=list(dict.fromkeys(setups)),
            holds=list(dict.fromkeys(holds)),
        )

    def _arcs(
        self, arc: Arc, source: int, leads: dict[int, tuple[int, ...]], target: int
    ) -> Iterator[tuple[int, int, int, int, int, int]]:
        for edge, target_edges in leads.items():
            for target_edge in target_edges:
                name = ("rise", "fall")[target_edge]
                delay, slew = arc.tables.get(f"cell_{name}"), arc.tables.get(f"{name}_transition")
                if delay is not None and slew is not None:
                    tables = self._add(delay, "load"), self._add(slew, "load")
                    yield source, edge, target, target_edge, *tables

    def _add(self, table: Table, second: str) -> int:
        """Return the number of a table over slew and ``second``."""
        if id(table) in self.numbers:
            return self.numbers[id(table)]
        index = dict(zip(table.axes, table.indices, strict=True))
        unknown = set(index) - {"slew", second}
        if unknown:
            raise TimingError(f"a timing table over {', '.join(sorted(unknown))}")
        values = table.values.T if table.axes == (second, "slew") else table.values
        axes = [index.get(axis, np.zeros(1)) for axis in ("slew", second)]
        values = values.reshape([len(axis) for axis in axes])
        for i, axis in enumerate(axes):  # with a single entry, a constant
            if len(axis) == 1:
                axes[i] = np.array([axis[0], axis[0] + 1])
                values = np.repeat(values, 2, axis=i)
        self.tables.append((axes[0], axes[1], values))
        self.numbers[id(table)] = len(self.tables) - 1
        return self.numbers[id(table)]

    def _pack(self) -> None:
        rows = max(len(x) for x, _, _ in self.tables)
        columns = max(len(y) for _, y, _ in self.tables)
        self.x = np.full((len(self.tables), rows), np.inf)
        self.y = np.full((len(self.tables), columns), np.inf)
        self.values = np.zeros((len(self.tables), rows, columns))
        for number, (x, y, values) in enumerate(self.tables):
            self.x[number, : len(x)] = x
            self.y[number, : len(y)] = y
            self.values[number, : len(x), : len(y)] = values
        self.last_x = np.array([len(x) - 2 for x, _, _ in self.tables])
        self.last_y = np.array([len(y) - 2 for _, y, _ in self.tables])
        self.packed = len(self.tables)

    def at(self, number: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Look up tables by number. Values are interpolated linearly, and extrapolated beyond the
        ends.
        """
        if self.packed < len(self.tables):
            self._pack()
        if not len(number):
            return np.zeros(0)
        i = np.clip((x[:, None] >= self.x[number]).sum(1) - 1, 0, self.last_x[number])
        j = np.clip((y[:, None] >= self.y[number]).sum(1) - 1, 0, self.last_y[number])
        x0, y0 = self.x[number, i], self.y[number, j]
        u = (x - x0) / (self.x[number, i + 1] - x0)
        v = (y - y0) / (self.y[number, j + 1] - y0)
        values = self.values
        low = values[number, i, j] * (1 - v) + values[number, i, j + 1] * v
        high = values[number, i + 1, j] * (1 - v) + values[number, i + 1, j + 1] * v
        found: np.ndarray = low * (1 - u) + high * u
        return found
