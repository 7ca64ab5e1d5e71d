"""Zero-delay simulation of a mapped netlist, with no compilation for each netlist."""

import ctypes
from collections import deque
from pathlib import Path

import numpy as np

from adq.verif.gate_level.shared_library import load_compiled
from adq.verif.gate_level.simulated_netlist import WORD
from adq.verif.gate_level.switching import Switching, SwitchingError
from adq.verif.liberty.functions import truth_table

__all__ = ["NetlistSimulation"]

MOST_INPUTS = 6
"""Inputs of a cell, whose truth table is a word of 64 bits."""

CONSTANT = -1
"""Row of a constant 0."""


class NetlistSimulation:
    """Runs a netlist on recorded values of its input ports.

    Flip-flops start at 0. The recording is that of
    :func:`adq.verif.gate_level.switching.read_recording`: the value of every net just before each
    edge of the clock.

    Parameters
    ----------
    cache
        Folder in which the compiled simulator is kept.

    Raises
    ------
    SwitchingError
        If a cell has more than six inputs, or gates form a loop.
    SimulationError
        If the simulator cannot be compiled.
    """

    def __init__(self, switching: Switching, *, clock: str, cache: Path):
        self.switching = switching
        netlist = switching.netlist
        self.inputs = [
            (name, place, switching.row[net])
            for name, (direction, nets) in netlist.ports.items()
            if direction == "input" and name != clock
            for place, net in enumerate(nets)
            if isinstance(net, int)
        ]
        """Port, bit and row of the net of each input."""
        self._library = load_compiled(Path(__file__).with_name("netlist_simulation.cpp"), cache)
        self._kept: list[np.ndarray] = []
        self._design = self._describe()

    def run(self, given: np.ndarray) -> np.ndarray:
        """Return the recording of a run, uint8 (cycles, bytes of all nets).

        Parameters
        ----------
        given
            uint8 (cycles, inputs): the bits of ``inputs`` in each cycle.

        """
        given = np.ascontiguousarray(given, np.uint8)
        assert given.shape[1] == len(self.inputs)
        row_bytes = -(-len(self.switching.nets) // WORD) * WORD // 8
        record = np.zeros((len(given), row_bytes), np.uint8)
        self._library.replay(
            ctypes.byref(self._design),
            _pointer(given),
            ctypes.c_int64(len(given)),
            _pointer(record),
            ctypes.c_int64(row_bytes),
        )
        return record

    def _describe(self) -> "_Netlist":
        switching = self.switching
        instances = switching.netlist.instances
        row = switching.row
        gates: list[tuple[list[int], int, int]] = []
        flops: list[tuple[int, int, int, int]] = []
        for kind in switching.kinds:
            cell = switching.library.cells[kind.cell]
            if cell.sequential == "clock_gate":
                continue
            pins = [pin.name for pin in cell.inputs]
            if len(pins) > MOST_INPUTS:
                raise SwitchingError(f"{kind.cell}: {len(pins)} inputs, and 6 are simulated")
            functions = {}
            if not cell.sequential:
                functions = {pin.name: truth_table(pin.function, pins) for pin in cell.outputs}
            for place, number in enumerate(kind.instances.tolist()):
                on = instances[number].pins
                if cell.sequential:
                    found = {pin.function: row.get(on[pin.name], CONSTANT) for pin in cell.outputs}
                    stored, inverted = cell.state
                    data = row[on[cell.next_state]]
                    clock = int(kind.clocks[place])
                    flops.append((data, found.get(stored, -1), found.get(inverted, -1), clock))
                    continue
                rows = [row[on[pin]] for pin in pins]
                rows += [CONSTANT] * (MOST_INPUTS - len(rows))
                for name, function in functions.items():
                    gates.append((rows, row[on[name]], function))
        order = _levels(gates, len(switching.nets))
        enables = [(*each, CONSTANT, CONSTANT)[:2] for each in switching.enables]
        columns = list(zip(*flops, strict=True)) or [()] * 4
        return _Netlist(
            nets=len(switching.nets),
            gates=len(gates),
            flops=len(flops),
            clocks=len(switching.clocks),
            inputs=len(self.inputs),
            gate_inputs=self._keep([gates[i][0] for i in order]),
            gate_net=self._keep([gates[i][1] for i in order]),
            gate_function=self._keep([gates[i][2] for i in order], np.uint64),
            flop_data=self._keep(columns[0]),
            flop_output=self._keep(columns[1]),
            flop_inverted=self._keep(columns[2]),
            flop_clock=self._keep(columns[3]),
            clock_parent=self._keep(switching.parents),
            clock_enables=self._keep(enables),
            input_net=self._keep([net for _, _, net in self.inputs]),
        )

    def _keep(self, values: object, kind: type = np.int64) -> ctypes.c_void_p:
        self._kept.append(np.ascontiguousarray(values, kind))
        return _pointer(self._kept[-1])


def _levels(gates: list[tuple[list[int], int, int]], nets: int) -> list[int]:
    """Return gates in an order in which each follows those that drive it."""
    sinks: list[list[int]] = [[] for _ in range(nets)]
    driven = {net for _, net, _ in gates}
    missing = []
    for number, (rows, _, _) in enumerate(gates):
        sources = [net for net in rows if net in driven]
        missing.append(len(sources))
        for net in sources:
            sinks[net].append(number)
    ready = deque(number for number, count in enumerate(missing) if not count)
    order = []
    while ready:
        number = ready.popleft()
        order.append(number)
        for sink in sinks[gates[number][1]]:
            missing[sink] -= 1
            if not missing[sink]:
                ready.append(sink)
    if len(order) < len(gates):
        raise SwitchingError(f"{len(gates) - len(order)} gates form a loop")
    return order


class _Netlist(ctypes.Structure):
    """``Netlist`` of ``netlist_simulation.cpp``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("nets", "gates", "flops", "clocks", "inputs")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("gate_inputs", "gate_net", "gate_function", "flop_data", "flop_output"),
                *("flop_inverted", "flop_clock", "clock_parent", "clock_enables", "input_net"),
            )
        ),
    )


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
