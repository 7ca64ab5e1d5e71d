"""Cell libraries, read from liberty files, in one set of units."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adq.verif.liberty.cells import Arc, Cell, Leakage, Pin, Power, Table, WireLoad
from adq.verif.liberty.syntax import Group, LibertyError, parse

__all__ = ["LibertyError", "Library"]

AXES = {
    "input_net_transition": "slew",
    "input_transition_time": "slew",
    "total_output_net_capacitance": "load",
    "related_pin_transition": "clock_slew",
    "constrained_pin_transition": "slew",
}
"""Names of the axes of a table, by the variable that a liberty file names."""

RESERVED = ("dont_use", "is_level_shifter", "is_isolation_cell", "always_on")
TIMES = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
CONSTRAINTS = ("rise_constraint", "fall_constraint")
POWERS = ("power", "rise_power", "fall_power")
PRIMARY = "primary_power"


@dataclass(frozen=True, eq=False)
class Library:
    """A cell library at one corner. Units: ns, fF, fJ, nW, um2, kohm, V."""

    name: str
    path: Path
    digest: str
    """Hash of its text, whether it was gzipped or not."""
    text: bytes = field(repr=False)
    voltage: float
    temperature: float
    """Degrees Celsius."""
    max_transition: float
    wire_load: WireLoad
    cells: dict[str, Cell] = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> "Library":
        """Read a liberty file, gzipped or not.

        Raises
        ------
        LibertyError
            If it cannot be read, is damaged or cut short, or has no cells.
        """
        path = Path(path)
        group, text = parse(path)
        try:
            return _Reader(group).library(path, text)
        except LibertyError as error:
            raise error.located(path, text) from None

    def describe(self) -> dict[str, str | float]:
        """Return what tells the library and its corner, as JSON values."""
        return {
            "name": self.name,
            "sha256": self.digest,
            "voltage": self.voltage,
            "temperature": self.temperature,
            "wire_load": self.wire_load.name,
        }

    def clock_gates(self) -> list[Cell]:
        """Return the clock gates for rising clocks, smallest first: latch-based gates, without a
        test input if the library has such gates.
        """
        gates = [c for c in self.cells.values() if c.sequential == "clock_gate" and c.usable]
        gates = [c for c in gates if not any(pin.role == "test" for pin in c.inputs)] or gates
        return sorted(gates, key=lambda cell: cell.area)

    def require_internal_power(self, cells: Iterable[str]) -> None:
        """Check that the library gives the energy of these cells.

        Raises
        ------
        LibertyError
            If one of them has inputs and outputs, and no table of internal power.
        """
        without = [
            name
            for name in dict.fromkeys(cells)
            if self.cells[name].inputs
            and self.cells[name].outputs
            and not any(
                power.tables for pin in self.cells[name].pins.values() for power in pin.powers
            )
        ]
        if without:
            raise LibertyError(
                f"{self.path}: no internal_power in {', '.join(without[:4])}"
                + (f" and {len(without) - 4} more cells" if len(without) > 4 else "")
                + ": energy of nets alone would be told as that of the tile; give a liberty file "
                "that was characterized for power"
            )

    def flip_flops(self) -> list[Cell]:
        """Return the plain flip-flops with a rising clock, smallest first.

        In a library whose flip-flops all have a reset or a set, those with the fewest: such a pin
        is tied so that it never acts.
        """
        found = [
            cell
            for cell in self.cells.values()
            if cell.sequential == "ff"
            and cell.usable
            and cell.clocked_on in cell.pins
            and cell.next_state in cell.pins
            and cell.tied is not None
            and len(cell.inputs) == 2 + len(cell.tied)
        ]
        fewest = min((len(cell.tied or ()) for cell in found), default=0)
        found = [cell for cell in found if len(cell.tied or ()) == fewest]
        return sorted(found, key=lambda cell: cell.area)

    def latches(self) -> list[Cell]:
        """Return the plain latches that are transparent while their enable is high, smallest
        first: those with no input but data and enable, and an output that shows what is stored.
        """
        found = [
            cell
            for cell in self.cells.values()
            if cell.sequential == "latch"
            and cell.usable
            and cell.clocked_on in cell.pins
            and cell.next_state in cell.pins
            and len(cell.inputs) == 2
            and len(cell.outputs) == 1
            and cell.outputs[0].function == cell.state[0]
        ]
        return sorted(found, key=lambda cell: cell.area)


class _Reader:
    """Converts groups into a library, in its units."""

    def __init__(self, group: Group):
        self.group = group
        self.time = self._unit("time_unit", "s", 1e-9)
        self.volt = self._unit("voltage_unit", "V", 1.0)
        self.leakage = self._unit("leakage_power_unit", "W", 1e-9)
        self.resistance = self._unit("pulling_resistance_unit", "ohm", 1e3)
        self.capacitance = self._capacitance_unit()
        self.energy = self.capacitance * self.volt**2
        self.templates = {
            kind: {template.name: template for template in group.all(kind)}
            for kind in ("lu_table_template", "power_lut_template")
        }
        """By kind, since each kind has a name space of its own."""
        self.indices: dict[tuple[object, ...], np.ndarray] = {}

    def _unit(self, attribute: str, unit: str, ours: float) -> float:
        """Return a unit as a multiple of ours. Liberty's defaults equal ours."""
        text = self.group.get(attribute)
        if text is None:
            return 1.0
        number = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
        match = re.fullmatch(number + r"\s*([munpfk]?)" + unit, text, re.IGNORECASE)
        if match is None or not float(match[1]):
            raise self.group.error(f"{attribute}: unknown unit {text!r:.40}", attribute)
        prefix = {"": 1, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
        return float(match[1]) * prefix[match[2].lower()] / ours

    def _capacitance_unit(self) -> float:
        """Return ``capacitive_load_unit`` in fF: its arguments are a number and ``ff`` or
        ``pf``.
        """
        attribute = "capacitive_load_unit"
        factor, unit = [*self.group.attributes.get(attribute, ["1", "pf"]), "", ""][:2]
        femtofarads = {"ff": 1.0, "pf": 1e3}.get(unit.lower(), 0.0)
        try:
            femtofarads *= float(factor)
        except ValueError:
            femtofarads = 0.0
        if not 0 < femtofarads < np.inf:
            unit = f"{factor} {unit}"
            raise self.group.error(f"{attribute}: unknown unit {unit!r:.40}", attribute)
        return femtofarads

    def library(self, path: Path, text: bytes) -> Library:
        group = self.group
        cells: dict[str, Cell] = {}
        for cell in group.all("cell"):
            if cell.name in cells:
                raise cell.error("a cell of this name stands in the library already")
            cells[cell.name] = self.cell(cell)
        if not cells:
            raise LibertyError("has no cells")
        voltage = self._operating("voltage", group.number("nom_voltage", 0.0)) * self.volt
        if not voltage > 0:
            raise LibertyError(
                "nom_voltage, or the voltage of its default_operating_conditions, must be more "
                "than 0: no energy can be told without"
            )
        return Library(
            name=group.name,
            path=path,
            digest=hashlib.sha256(text).hexdigest(),
            text=text,
            voltage=voltage,
            temperature=self._operating("temperature", group.number("nom_temperature", 25.0)),
            max_transition=group.number("default_max_transition", np.inf) * self.time,
            wire_load=self.wire_load(),
            cells=cells,
        )

    def _operating(self, attribute: str, nominal: float) -> float:
        name = self.group.get("default_operating_conditions")
        for conditions in self.group.all("operating_conditions"):
            if conditions.name == name:
                return conditions.number(attribute, nominal)
        return nominal

    def wire_load(self) -> WireLoad:
        """Return the default wire load model, or an empty one if the library names none."""
        name = self.group.get("default_wire_load")
        for model in self.group.all("wire_load"):
            if model.name == name:
                lengths = model.numbers("fanout_length")
                return WireLoad(
                    name=name,
                    capacitance=model.number("capacitance", 0.0) * self.capacitance,
                    resistance=model.number("resistance", 0.0) * self.resistance,
                    slope=model.number("slope", 0.0),
                    lengths=tuple(
                        (int(fanout), length)
                        for fanout, length in zip(lengths[::2], lengths[1::2], strict=False)
                    ),
                )
        return WireLoad()

    def cell(self, cell: Group) -> Cell:
        stores = next((g for g in cell.groups if g.kind in ("ff", "latch")), None)
        gate = cell.get("clock_gating_integrated_cell", "")
        sequential = stores.kind if stores else ""
        if gate.startswith("latch_posedge"):
            sequential = "clock_gate"
        elif gate or cell.first("statetable") or cell.first("ff_bank"):
            sequential = "other"
        supplies = _Supplies(cell)
        return Cell(
            name=cell.name,
            area=cell.number("area", 0.0),
            leakage=cell.number("cell_leakage_power", 0.0) * self.leakage,
            leakages=tuple(self.leakages(cell, supplies)),
            pins={
                name: self.pin(name, pin, supplies)
                for pin in cell.all("pin")
                if pin.get("direction") != "internal"
                for name in pin.arguments
            },
            sequential=sequential,
            state=tuple(stores.arguments) if stores else (),
            next_state=stores.get("next_state", stores.get("data_in", "")) if stores else "",
            clocked_on=stores.get("clocked_on", stores.get("enable", "")) if stores else "",
            clear=stores.get("clear", "") if stores else "",
            preset=stores.get("preset", "") if stores else "",
            usable=not any(cell.get(attribute) == "true" for attribute in RESERVED),
        )

    def leakages(self, cell: Group, supplies: "_Supplies") -> Iterator[Leakage]:
        """Yield leakage by state and supply. Leakage of a ground is the same current as that of a
        supply, and is not counted again.
        """
        for state in cell.all("leakage_power"):
            supply = supplies.of(state)
            if supplies.kinds.get(supply, PRIMARY) == PRIMARY:
                value = state.number("value", 0.0) * self.leakage
                yield Leakage(state.get("when", ""), supply, value)

    def pin(self, name: str, pin: Group, supplies: "_Supplies") -> Pin:
        direction = pin.get("direction", "input")
        default = self.group.number(f"default_{direction}_pin_cap", 0.0)
        roles = ("clock", "enable", "test")
        role = next((r for r in roles if pin.get(f"clock_gate_{r}_pin") == "true"), "")
        if pin.get("clock_gate_out_pin") == "true":
            role = "output"
        return Pin(
            name=name,
            direction=direction,
            capacitance=pin.number("capacitance", default) * self.capacitance,
            max_capacitance=pin.number("max_capacitance", np.inf) * self.capacitance,
            function=pin.get("function", ""),
            clock=pin.get("clock") == "true",
            role=role,
            arcs=tuple(
                Arc(
                    related_pin=related,
                    kind=timing.get("timing_type", "combinational"),
                    sense=timing.get("timing_sense", "non_unate"),
                    when=timing.get("when", ""),
                    tables=self.tables(timing, TIMES + CONSTRAINTS, self.time),
                )
                for timing in pin.all("timing")
                for related in timing.get("related_pin", "").split()
            ),
            powers=tuple(
                Power(
                    related_pin=related,
                    when=power.get("when", ""),
                    supply=supplies.of(power),
                    tables=self.tables(power, POWERS, self.energy),
                )
                for power in pin.all("internal_power")
                for related in power.get("related_pin", "").split() or [""]
            ),
        )

    def tables(self, group: Group, kinds: tuple[str, ...], unit: float) -> dict[str, Table]:
        return {g.kind: self.table(g, unit) for g in group.groups if g.kind in kinds}

    def table(self, table: Group, unit: float) -> Table:
        values = np.array(table.numbers("values")) * unit
        template = self._template(table)
        axes, indices = [], []
        for number in (1, 2, 3):
            variable = template.get(f"variable_{number}")
            if variable is None:
                break
            axes.append(AXES.get(variable, variable))
            scale = self.capacitance if axes[-1] == "load" else self.time
            attribute = f"index_{number}"
            source = table if table.attributes.get(attribute) else template
            indices.append(self._index(source, attribute, scale))
        shape = [len(index) for index in indices]
        if values.size != np.prod(shape, dtype=int) or not values.size:
            raise table.error(
                f"{values.size} values where its indices ask for "
                f"{' x '.join(map(str, shape)) or 1}",
                "values",
            )
        return Table(tuple(axes), tuple(indices), values.reshape(shape))

    def _index(self, source: Group, attribute: str, scale: float) -> np.ndarray:
        """Return the entries of an axis. Tables with equal entries share the array."""
        key = (scale, *source.attributes.get(attribute, ()))
        if key not in self.indices:
            index = np.array(source.numbers(attribute)) * scale
            if (np.diff(index) <= 0).any():
                raise source.error(f"{attribute} must rise from entry to entry", attribute)
            self.indices[key] = index
        return self.indices[key]

    def _template(self, table: Group) -> Group:
        if table.name in ("", "scalar"):
            return _SCALAR
        kind = "power_lut_template" if table.kind in POWERS else "lu_table_template"
        template = self.templates[kind].get(table.name)
        if template is None:
            raise table.error(f"the library has no {kind} of this name")
        return template


_SCALAR = Group("lu_table_template", ["scalar"])
"""Template of a table of one value, which every library has."""


class _Supplies:
    """Supplies and grounds of a cell."""

    def __init__(self, cell: Group):
        self.kinds = {pin.name: pin.get("pg_type", PRIMARY) for pin in cell.all("pg_pin")}
        primary = [name for name, kind in self.kinds.items() if kind == PRIMARY]
        self.usual = primary[0] if len(primary) == 1 else ""

    def of(self, group: Group) -> str:
        """Return the supply of a leakage or internal power group. A group that names none belongs
        to the cell's only primary supply; if there is not exactly one, to an unnamed supply.
        """
        return group.get("related_pg_pin") or self.usual
