"""Second stage of clock gates: a condition that several enables share gates the clock in front of
them.

A gate that passes nothing still takes its clock in, every cycle. Where the enables of many gates
all imply one signal, that signal gates their clock, and while it is low none of them sees an edge:
the words of the weight storage, say, while no weights come.
"""

from collections import Counter, defaultdict

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.synthesis.clock.clock_phase import smallest_inverter
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["stage_clock_gates"]

LEAST_GATES = 6
"""Gates that a gate in front of them pays for."""

DEPTH = 12
"""Cells through which implications are followed."""

Literal = tuple[int, bool]
"""A net, and its value."""


def stage_clock_gates(netlist: Netlist, library: Library) -> None:
    """Put the clock gates of each block behind common ones, where their enables share a condition
    other than that the pipeline advances.

    Of signals that as many enables imply, the one that implies most itself is taken. Sound by
    construction: an enable implies what every input of its cells must be for it to be high.
    """
    implied = _Implications(netlist, library)
    gates = [i for i in netlist.instances if library.cells[i.cell].sequential == "clock_gate"]
    by_block = defaultdict(list)
    for gate in gates:
        by_block[gate.block].append(gate)
    for block, members in by_block.items():
        _stage(netlist, library, implied, block, members, frozenset())


def _stage(
    netlist: Netlist,
    library: Library,
    implied: "_Implications",
    block: str,
    members: list[Instance],
    known: frozenset[Literal],
) -> None:
    """Add stages in front of gates whose clocks already imply the known conditions."""
    while True:
        found = _most_common(members, implied, library, known)
        if found is None:
            break
        (net, value), behind = found
        _insert(netlist, library, block, net, value, behind)
        _stage(netlist, library, implied, block, behind, known | implied.by((net, value)))
        chosen = {id(gate) for gate in behind}
        members = [gate for gate in members if id(gate) not in chosen]


def _pin(instance: Instance, library: Library, role: str) -> str:
    pins = library.cells[instance.cell].pins.values()
    return next(pin.name for pin in pins if pin.role == role)


def _most_common(
    gates: list[Instance],
    implied: "_Implications",
    library: Library,
    known: frozenset[Literal],
) -> tuple[Literal, list[Instance]] | None:
    """Return the signal that most enables imply, and the gates concerned."""
    of_gate: dict[int, frozenset[Literal]] = {}
    for gate in gates:
        enable = gate.pins[_pin(gate, library, "enable")]
        if isinstance(enable, int):
            of_gate[id(gate)] = implied.by((enable, True))
    count = Counter(literal for literals in of_gate.values() for literal in literals - known)
    most = max(count.values(), default=0)
    if most < LEAST_GATES:
        return None
    common = [literal for literal, number in count.items() if number == most]
    chosen = max(common, key=lambda literal: (len(implied.by(literal)), literal))
    return chosen, [gate for gate in gates if chosen in of_gate.get(id(gate), ())]


def _insert(
    netlist: Netlist,
    library: Library,
    block: str,
    net: Net,
    value: bool,
    behind: list[Instance],
) -> None:
    """Insert a gate in front of others."""
    clock, output = _pin(behind[0], library, "clock"), _pin(behind[0], library, "output")
    enable = _pin(behind[0], library, "enable")
    if not value:
        inverter = smallest_inverter(library)
        inverted = netlist.new_net()
        pins: dict[str, Net] = {inverter.inputs[0].name: net, inverter.outputs[0].name: inverted}
        netlist.instances.append(Instance(f"not_{inverted}", inverter.name, pins, block))
        net = inverted
    gated = netlist.new_net()
    cell = library.clock_gates()[0].name
    pins = {clock: behind[0].pins[clock], enable: net, output: gated}
    netlist.instances.append(Instance(f"clock_stage_{gated}", cell, pins, block))
    for gate in behind:
        gate.pins[clock] = gated


class _Implications:
    """Implications from the value of a net to values of nets in its fan-in."""

    def __init__(self, netlist: Netlist, library: Library):
        self.forced: dict[Literal, list[Literal]] = {}
        self.known: dict[Literal, frozenset[Literal]] = {}
        tables = {}
        for instance in netlist.instances:
            cell = library.cells[instance.cell]
            if cell.sequential:
                continue
            if cell.name not in tables:
                tables[cell.name] = _forced_inputs(cell)
            for output, value, pin, needed in tables[cell.name]:
                net, source = instance.pins.get(output), instance.pins[pin]
                if isinstance(net, int) and isinstance(source, int):
                    self.forced.setdefault((net, value), []).append((source, needed))

    def by(self, literal: Literal) -> frozenset[Literal]:
        """Return all literals that a literal implies, including itself."""
        if literal not in self.known:
            seen, front = {literal}, [literal]
            for _ in range(DEPTH):
                front = [n for each in front for n in self.forced.get(each, ()) if n not in seen]
                seen.update(front)
            self.known[literal] = frozenset(seen)
        return self.known[literal]


def _forced_inputs(cell: Cell) -> list[tuple[str, bool, str, bool]]:
    """Return output pin and value, with an input pin and the value that it must then have."""
    inputs = [pin.name for pin in cell.inputs]
    size = 2 ** len(inputs)
    found = []
    for pin in cell.outputs:
        table = truth_table(pin.function, inputs)
        for value in (False, True):
            states = [i for i in range(size) if bool(table >> i & 1) == value]
            for j, name in enumerate(inputs):
                seen = {bool(i >> j & 1) for i in states}
                if len(seen) == 1:
                    found.append((pin.name, value, name, seen.pop()))
    return found
