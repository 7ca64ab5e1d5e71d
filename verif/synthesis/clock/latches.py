"""Latches in place of the flip-flops that hold weights.

A flip-flop is two latches behind each other. The first is transparent while the clock is low, and
keeps at the clock's rise what the second then shows. Of a weight word the first one is enough if
nobody reads the word in the cycle that writes it: then it makes no difference that the new word
shows half a cycle earlier. The tile does not multiply a bank that loads; the proof of the weight
array (``KeepsWeights``) asserts that the row line of a word that is written is inactive.

The latches open while the clock is low, by clock gates on an inverted clock. Such a gate samples
its enable at the clock's fall, so that the enable has half a cycle.
"""

import re
from collections import defaultdict

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.synthesis.clock.clock_phase import smallest_inverter
from adq.verif.synthesis.mapping import SynthesisError
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["WEIGHT_WORD", "store_in_latches"]

WEIGHT_WORD = re.compile(r"(?P<path>.*\.|^)weights_(?P<bank>\d+)_(?P<row>\d+)(\[\d+\])?$")
"""Name of a bit of a weight word."""


def store_in_latches(netlist: Netlist, library: Library) -> None:
    """Replace the flip-flops of weight words, which have clock gates, by latches.

    Raises
    ------
    SynthesisError
        If the library has no plain latch or no clock gate, or a weight's flip-flop has no gate.
    """
    words = [
        instance
        for instance in netlist.instances
        if library.cells[instance.cell].sequential == "ff"
        and WEIGHT_WORD.match(netlist.name_of(_state_net(instance, library.cells[instance.cell])))
    ]
    if not words:
        return
    latches = library.latches()
    if not latches:
        raise SynthesisError(
            f"{library.path}: no latch with nothing but data and an enable that is high where it "
            "is transparent: map the weights to flip-flops"
        )
    clocks = _Clocks(netlist, library)
    for word in words:
        cell = library.cells[word.cell]
        clock = word.pins[cell.clocked_on]
        if clock not in clocks.gates or cell.next_state not in word.pins:
            raise SynthesisError(
                f"{library.path}: {netlist.name_of(_state_net(word, cell))} has no clock gate: "
                "latches need a library with clock gates for rising clocks"
            )
        latch = latches[0]
        word.pins = {
            latch.next_state: word.pins[cell.next_state],
            latch.clocked_on: clocks.inverted(clock, word.block),
            _state_pin(latch): _state_net(word, cell),
        }
        word.cell = latch.name
    clocks.remove_unused()


def _state_pin(cell: Cell) -> str:
    return next(pin.name for pin in cell.outputs if pin.function == cell.state[0])


def _state_net(instance: Instance, cell: Cell) -> Net:
    return instance.pins[_state_pin(cell)]


class _Clocks:
    """Gated clocks, and the same of the inverted clock, made where they are asked for."""

    def __init__(self, netlist: Netlist, library: Library):
        self.netlist, self.library = netlist, library
        self.gates = {
            instance.pins[self._pin(instance, "output")]: instance
            for instance in netlist.instances
            if library.cells[instance.cell].sequential == "clock_gate"
        }
        self._made: dict[Net, Net] = {}

    def _pin(self, instance: Instance, role: str) -> str:
        pins = self.library.cells[instance.cell].pins.values()
        return next(pin.name for pin in pins if pin.role == role)

    def inverted(self, clock: Net, block: str) -> Net:
        """Return the inverted clock behind gates with the same enables, in a block."""
        if clock not in self._made:
            output = self.netlist.new_net()
            if clock in self.gates:
                gate = self.gates[clock]
                pin = self._pin(gate, "clock")
                pins = gate.pins | {
                    pin: self.inverted(gate.pins[pin], block),
                    self._pin(gate, "output"): output,
                }
                name = f"latch_gate_{output}"
                self.netlist.instances.append(Instance(name, gate.cell, pins, block))
            else:
                cell = smallest_inverter(self.library)
                [source], [target] = cell.inputs, cell.outputs
                pins = {source.name: clock, target.name: output}
                self.netlist.instances.append(
                    Instance(f"clock_inverter_{output}", cell.name, pins, block)
                )
            self._made[clock] = output
        return self._made[clock]

    def remove_unused(self) -> None:
        """Remove clock gates that nothing is left behind."""
        while True:
            used: dict[Net, int] = defaultdict(int)
            for instance in self.netlist.instances:
                pins = self.library.cells[instance.cell].pins
                for pin, net in instance.pins.items():
                    used[net] += pins[pin].direction == "input"
            unused = {id(gate) for net, gate in self.gates.items() if not used[net]}
            if not unused:
                return
            self.netlist.instances = [i for i in self.netlist.instances if id(i) not in unused]
            self.gates = {n: gate for n, gate in self.gates.items() if id(gate) not in unused}
