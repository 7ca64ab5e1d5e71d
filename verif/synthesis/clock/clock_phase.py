"""Clock nets of a netlist, and which of them carry the inverted clock."""

import functools

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["ClockPhases", "is_inverter", "smallest_inverter"]


@functools.cache
def is_inverter(cell: Cell) -> bool:
    """Return whether a cell has one input, and one output that is its complement."""
    return (
        not cell.sequential
        and len(cell.inputs) == len(cell.outputs) == 1
        and truth_table(cell.outputs[0].function, [cell.inputs[0].name]) == 1
    )


def smallest_inverter(library: Library) -> Cell:
    """Return the inverter of least area."""
    return min(
        (cell for cell in library.cells.values() if cell.usable and is_inverter(cell)),
        key=lambda cell: cell.area,
    )


class ClockPhases:
    """Tells clock nets that rise with the clock from those that fall with it.

    A clock passes clock gates, which keep its phase, and inverters.
    """

    def __init__(self, netlist: Netlist, library: Library):
        self._library = library
        self._before: dict[Net, tuple[Net, bool]] = {}  # output -> input, whether inverted
        for instance in netlist.instances:
            cell = library.cells[instance.cell]
            if cell.sequential == "clock_gate":
                role = {pin.role: pin.name for pin in cell.pins.values() if pin.role}
                clock, output, inverts = role["clock"], role["output"], False
            elif cell.sequential or len(cell.inputs) != 1 or not is_inverter(cell):
                continue
            else:
                clock, output, inverts = cell.inputs[0].name, cell.outputs[0].name, True
            if output in instance.pins:
                self._before[instance.pins[output]] = instance.pins[clock], inverts

    def inverted(self, clock: Net) -> bool:
        """Return whether a clock net falls where the clock rises."""
        inverted, passed = False, set[Net]()
        while clock in self._before and clock not in passed:  # a loop is no clock
            passed.add(clock)
            clock, inverts = self._before[clock]
            inverted ^= inverts
        return inverted

    def gate_is_inverted(self, instance: Instance) -> bool:
        """Return whether an instance is a clock gate of the inverted clock."""
        cell = self._library.cells[instance.cell]
        if cell.sequential != "clock_gate":
            return False
        return any(
            self.inverted(instance.pins[pin.name]) for pin in cell.inputs if pin.role == "clock"
        )
