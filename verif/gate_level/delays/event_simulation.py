"""Event-driven simulation of a mapped netlist with the delays of static timing.

A cycle begins with the settled values of the recording that a zero-delay simulation left. The
outputs of flip-flops and the input ports then take their next values, each after its own delay, and
every combinational cell follows with inertial delays. At the end of the cycle every net must have
the value that the recording has there: glitches are all that differs.
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adq.verif.gate_level.power import PowerModel
from adq.verif.gate_level.shared_library import load_compiled
from adq.verif.gate_level.switching import CellKind, Switching, SwitchingError
from adq.verif.liberty.functions import truth_table
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.timing import Timing, TimingGraph

__all__ = ["FEMTOSECONDS", "EventCounts", "EventSimulation", "arc_delays", "source_delays"]

FEMTOSECONDS = 1_000_000
"""Femtoseconds in a nanosecond: times are integers, so that two simulators agree on them."""

SPREAD = 997
"""Delays get up to this many fs more, each another number, so that no two inputs of a cell change
at the same time: the order of such changes is not defined, and each simulator has its own."""

MOST_INPUTS = 6
"""Inputs of a combinational cell, whose truth table is a word of 64 bits."""


@dataclass
class EventCounts:
    """Toggles and energy of some cycles.

    Attributes
    ----------
    toggles : int64 of shape (nets,), but for clocks', which are 0
    energy : float64 of shape (instances,)
        fJ inside combinational cells, and in the data pins of clocked ones.
    settled_ns : float
        When the last net came to rest, from the clock's edge on, in any cycle.
    """

    toggles: np.ndarray
    energy: np.ndarray
    settled_ns: float


def spread(number: int) -> int:
    """Return the femtoseconds that are added to a delay, from the number of its arc."""
    return 1 + number * 7919 % SPREAD


def arc_delays(switching: Switching) -> dict[tuple[int, str, str], tuple[int, int]]:
    """Return fs from each input pin to each output pin of a combinational instance, where the
    output falls and where it rises, by instance number and the names of the pins.

    A delay is that of static timing: the longest of the arcs between the pins, at the worst slew
    and the net's load, with the wire.
    """
    timing, graph = _timing(switching)
    longest: dict[tuple[int, int, int, int], float] = {}
    for owner, source, target, delay in zip(
        timing.owners.tolist(),
        timing.sources.tolist(),
        timing.targets.tolist(),
        timing.arc_delay.tolist(),
        strict=True,
    ):
        key = owner, source // 2, target // 2, target % 2
        longest[key] = max(delay, longest.get(key, 0.0))
    found: dict[tuple[int, str, str], tuple[int, int]] = {}
    for number, instance in enumerate(switching.netlist.instances):
        cell = switching.library.cells[instance.cell]
        if cell.sequential:
            continue
        for output in cell.outputs:
            target = graph.net_on(instance, output.name)
            for pin in cell.inputs:
                source = graph.net_on(instance, pin.name)
                if source < 0:
                    continue
                rise, fall = (longest.get((number, source, target, edge), 0.0) for edge in (0, 1))
                more = spread(len(found))
                found[number, pin.name, output.name] = (
                    round(fall * FEMTOSECONDS) + more,
                    round(rise * FEMTOSECONDS) + more,
                )
    return found


def source_delays(switching: Switching) -> dict[int, tuple[int, int]]:
    """Return fs from the clock's edge to the fall and to the rise of each net that no combinational
    cell drives, clocks excepted: outputs of flip-flops, and input ports, which come at once; in a
    placed netlist, with the clock.
    """
    timing, graph = _timing(switching)
    longest: dict[int, float] = {}
    clocked = timing.sources >= timing.clock_node
    for target, delay in zip(
        timing.targets[clocked].tolist(), timing.arc_delay[clocked].tolist(), strict=True
    ):
        longest[target] = max(delay, longest.get(target, 0.0))
    driven = {
        instance.pins[pin.name]
        for instance in switching.netlist.instances
        for pin in switching.library.cells[instance.cell].outputs
        if not switching.library.cells[instance.cell].sequential
    }
    clocks = set(switching.clocks)
    found: dict[int, tuple[int, int]] = {}
    for net in switching.nets:
        if net in driven or net in clocks:
            continue
        node = 2 * graph.number[net]
        more = spread(len(found))
        fall, rise = (
            round(longest.get(node + edge, graph.port_arrival) * FEMTOSECONDS) for edge in (1, 0)
        )
        found[net] = fall + more, rise + more
    return found


def _timing(switching: Switching) -> tuple[Timing, TimingGraph]:
    timing = TimingGraph(switching.netlist, switching.library).analyse()
    return timing, timing.graph


class EventSimulation:
    """Simulates cycles of a recording again, with delays.

    Parameters
    ----------
    power
        Energies of every instance's events, at its slews and loads.
    period
        Of the clock, in ns.
    cache
        Folder in which the compiled simulator is kept.

    Raises
    ------
    SwitchingError
        If a combinational cell has more than six inputs, or the netlist has an inverted clock, as
        that of latches.
    SimulationError
        If the simulator cannot be compiled.
    """

    def __init__(self, power: PowerModel, *, period: float, cache: Path):
        self.power = power
        self.switching = power.switching
        if any(self.switching.inverted):
            raise SwitchingError(
                f"{self.switching.netlist.name}: is simulated with delays only if its weights are "
                "in flip-flops: map it without latches"
            )
        self.period = period
        self._library = load_compiled(Path(__file__).with_name("event_simulation.cpp"), cache)
        self._library.simulate.restype = ctypes.c_int
        self._kept: list[np.ndarray] = []
        self._design = self._describe()

    def count(self, recording: np.ndarray, spans: Iterable[tuple[int, int]]) -> EventCounts:
        """Count over spans of clock edges; see ``Switching.count``.

        Raises
        ------
        SimulationError
            If a cycle ends with other values than those of the recording, or a net still moves
            when the next edge comes.
        """
        recording = np.ascontiguousarray(recording)
        nets = len(self.switching.nets)
        toggles = np.zeros(nets, np.int64)
        energy = np.zeros(len(self._instances))
        outcome = _Outcome(_pointer(toggles), _pointer(energy), 0, -1, -1)
        self._design.row_bytes = recording.shape[1]
        for first, last in spans:
            ticks = np.ascontiguousarray(self.switching.ticks(recording[first : last + 1]))
            wrong = self._library.simulate(
                ctypes.byref(self._design),
                _pointer(recording),
                ctypes.c_int64(first),
                ctypes.c_int64(last),
                _pointer(ticks),
                ctypes.byref(outcome),
            )
            if wrong:
                net = self.switching.netlist.name_of(self.switching.nets[outcome.wrong_net])
                raise SimulationError(
                    f"{self.switching.netlist.name}: with delays, net {net} ends cycle "
                    f"{outcome.wrong_cycle} with another value than without"
                )
        settled = outcome.last / FEMTOSECONDS
        if settled > self.period:
            raise SimulationError(
                f"{self.switching.netlist.name}: nets move until {settled:.3f} ns, and the clock's "
                f"period is {self.period} ns: map the tile for a longer one"
            )
        by_instance = np.zeros(len(self.switching.netlist.instances))
        by_instance[self._instances] = energy
        return EventCounts(toggles, by_instance, settled)

    def _keep(self, values: npt.ArrayLike, kind: npt.DTypeLike = np.int64) -> ctypes.c_void_p:
        """Return pointer to an array that lives as long as the simulation."""
        self._kept.append(np.ascontiguousarray(values, kind))
        return _pointer(self._kept[-1])

    def _describe(self) -> "_Design":
        switching = self.switching
        instances = switching.netlist.instances
        row = switching.row
        arcs = arc_delays(switching)
        sources = source_delays(switching)
        cells, outputs = _Cells(), _Outputs()
        order: list[int] = []
        delays: list[tuple[int, int]] = []
        output_energy: list[np.ndarray] = []
        pin_energy: list[np.ndarray] = []
        delay_count = output_count = pin_count = 0
        fanout: list[list[int]] = [[] for _ in switching.nets]
        for kind, energies in zip(switching.kinds, self.power.energies, strict=True):
            cell = switching.library.cells[kind.cell]
            pins = kind.events.inputs[: -1 if kind.events.stored else None]
            functions = {}
            if not cell.sequential:
                if len(pins) > MOST_INPUTS:
                    raise SwitchingError(f"{kind.cell}: {len(pins)} inputs, and 6 are simulated")
                functions = {p.name: truth_table(p.function, list(pins)) for p in cell.outputs}
            pin_tables = _energies(kind, energies, "")
            output_tables = {name: _energies(kind, energies, name) for name in functions}
            for place, number in enumerate(kind.instances.tolist()):
                instance = instances[number]
                here = len(order)
                order.append(number)
                stored = kind.events.stored
                cells.inputs.append(len(pins))
                cells.first_output.append(len(outputs.cell))
                cells.pin_energies.append(pin_count)
                cells.clock.append(int(kind.clocks[place]) if kind.events.clock else -1)
                cells.stored.append(row[instance.pins[stored[0]]] if stored else -1)
                cells.inverted.append(bool(stored and stored[1]))
                cells.ones.append(
                    sum((instance.pins[pin] == "1") << i for i, pin in enumerate(pins))
                )
                pin_energy.append(pin_tables[place])
                pin_count += pin_tables[place].size
                for position, pin in enumerate(pins):
                    net = row[instance.pins[pin]]
                    if net >= 0:
                        fanout[net].append(here << 4 | position)
                for name, function in functions.items():
                    outputs.cell.append(here)
                    outputs.net.append(row[instance.pins[name]])
                    outputs.delays.append(delay_count)
                    outputs.energies.append(output_count)
                    outputs.function.append(function)
                    delays += [arcs.get((number, pin, name), (0, 0)) for pin in pins]
                    delay_count += 2 * len(pins)
                    output_energy.append(output_tables[name][place])
                    output_count += output_tables[name][place].size
        cells.first_output.append(len(outputs.cell))
        self._instances = np.array(order)
        compared = np.ones(len(switching.nets), np.uint8)
        compared[[row[net] for net in switching.clocks]] = 0
        starts = np.cumsum([0, *map(len, fanout)])
        return _Design(
            nets=len(switching.nets),
            cells=len(order),
            outputs=len(outputs.cell),
            sources=len(sources),
            row_bytes=0,
            cell_inputs=self._keep(cells.inputs),
            cell_first_output=self._keep(cells.first_output),
            cell_pin_energies=self._keep(cells.pin_energies),
            cell_clock=self._keep(cells.clock),
            cell_stored=self._keep(cells.stored),
            cell_stored_inverted=self._keep(cells.inverted, np.uint8),
            cell_constants=self._keep(cells.ones),
            output_cell=self._keep(outputs.cell),
            output_net=self._keep(outputs.net),
            output_delays=self._keep(outputs.delays),
            output_energies=self._keep(outputs.energies),
            output_function=self._keep(outputs.function, np.uint64),
            delays=self._keep(np.array(delays).ravel()),
            output_energy=self._keep(_joined(output_energy), np.float64),
            pin_energy=self._keep(_joined(pin_energy), np.float64),
            fanout_start=self._keep(starts),
            fanout=self._keep([place for places in fanout for place in places]),
            net_compared=self._keep(compared, np.uint8),
            source_net=self._keep([row[net] for net in sources]),
            source_delays=self._keep(np.array([*sources.values()]).ravel()),
            half_period=round(self.period * FEMTOSECONDS / 2),
        )


def _energies(kind: CellKind, energies: np.ndarray, output: str) -> np.ndarray:
    """Return the fJ of each instance where one input alone changes: of the input pin itself, or,
    with ``output``, inside the cell as that output follows; (instances, pins, states), the state
    being the one that was reached, and of a clocked cell once for its clock low and once for high.
    """
    events = kind.events
    size = 2 ** len(events.inputs)
    pins = len(events.inputs) - bool(events.stored)
    clocked = 2 if events.clock else 1
    pin, high, state = np.ogrid[:pins, :clocked, :size]
    change = (state ^ (1 << pin)) + state * size + high * size * size
    found = np.zeros((len(kind.instances), *change.shape))
    for number, event in enumerate(events.events):
        if event.output_pin == output and not event.clock:
            found += energies[:, number][:, None, None, None] * event.weights[change]
    return found.reshape(len(found), -1)


@dataclass
class _Cells:
    """Columns of ``Design`` with an entry a cell."""

    inputs: list[int] = field(default_factory=list)
    first_output: list[int] = field(default_factory=list)
    pin_energies: list[int] = field(default_factory=list)
    clock: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    inverted: list[bool] = field(default_factory=list)
    ones: list[int] = field(default_factory=list)


@dataclass
class _Outputs:
    """Columns of ``Design`` with an entry an output of a combinational cell."""

    cell: list[int] = field(default_factory=list)
    net: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    energies: list[int] = field(default_factory=list)
    function: list[int] = field(default_factory=list)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class _Design(ctypes.Structure):
    """``Design`` of ``event_simulation.cpp``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("nets", "cells", "outputs", "sources", "row_bytes")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("cell_inputs", "cell_first_output", "cell_pin_energies", "cell_clock"),
                *("cell_stored", "cell_stored_inverted", "cell_constants", "output_cell"),
                *("output_net", "output_delays", "output_energies", "output_function", "delays"),
                *("output_energy", "pin_energy", "fanout_start", "fanout", "net_compared"),
                *("source_net", "source_delays"),
            )
        ),
        ("half_period", ctypes.c_int64),
    )


class _Outcome(ctypes.Structure):
    """``Outcome`` of ``event_simulation.cpp``."""

    _fields_ = (
        ("toggles", ctypes.c_void_p),
        ("energy", ctypes.c_void_p),
        ("last", ctypes.c_int64),
        ("wrong_net", ctypes.c_int64),
        ("wrong_cycle", ctypes.c_int64),
    )
