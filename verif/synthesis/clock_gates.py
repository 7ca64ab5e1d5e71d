"""Clock gates: one a weight word, and the count of what they gate."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from verif.synthesis.liberty import Library
from verif.synthesis.netlist import Instance, Netlist

__all__ = ["ClockGating", "clock_gating", "split_clock_gates"]

STORAGE = "storage"


@dataclass(frozen=True)
class ClockGating:
    """Clock gates of a block, and its flip-flops behind some and not."""

    clock_gates: int
    gated: int
    ungated: int
    words: dict[str, tuple[int, int]]
    """Of each register: the clock gates that serve it, and its flip-flops without one."""


def _word_of(netlist: Netlist, net) -> str:
    return re.sub(r"\[\d+\]$", "", netlist.name_of(net))


def _role(instance: Instance, library: Library, role: str) -> str:
    pins = library.cells[instance.cell].pins.values()
    return next(pin.name for pin in pins if pin.role == role)


def _gates(netlist: Netlist, library: Library) -> dict[int, Instance]:
    """Gated clocks and their gates."""
    return {
        instance.pins[_role(instance, library, "output")]: instance
        for instance in netlist.instances
        if library.cells[instance.cell].sequential == "clock_gate"
    }


def _flip_flops(netlist: Netlist, library: Library):
    """Flip-flops, the pin of their clock and the net of their output."""
    for instance in netlist.instances:
        cell = library.cells[instance.cell]
        if cell.sequential == "ff":
            yield instance, cell.clocked_on, instance.pins[cell.outputs[0].name]


def split_clock_gates(netlist: Netlist, library: Library):
    """Give every word of the weight storage a clock gate of its own, where words that load in the
    same cycle share one: the gate then drives one row, next to it.
    """
    gates = _gates(netlist, library)
    words = defaultdict(lambda: defaultdict(list))  # clock -> word -> flip-flops
    for instance, clock_pin, output in _flip_flops(netlist, library):
        clock = instance.pins[clock_pin]
        if instance.block == STORAGE and clock in gates:
            words[clock][_word_of(netlist, output)].append((instance, clock_pin))
    for clock, members in words.items():
        gate = gates[clock]
        for flip_flops in list(members.values())[1:]:
            output = netlist.new_net()
            pins = gate.pins | {_role(gate, library, "output"): output}
            netlist.instances.append(Instance(f"clock_gate_{output}", gate.cell, pins, gate.block))
            for instance, clock_pin in flip_flops:
                instance.pins[clock_pin] = output


def clock_gating(netlist: Netlist, library: Library) -> dict[str, ClockGating]:
    """Clock gates and flip-flops of every block that has some."""
    gates = _gates(netlist, library)
    placed = Counter(gate.block for gate in gates.values())
    found = defaultdict(lambda: defaultdict(list))  # block -> word -> clocks
    for instance, clock_pin, output in _flip_flops(netlist, library):
        found[instance.block][_word_of(netlist, output)].append(instance.pins[clock_pin])
    blocks = {}
    for block in {**placed, **found}:
        words = {
            word: (len(gates.keys() & clocks), sum(clock not in gates for clock in clocks))
            for word, clocks in found[block].items()
        }
        size = sum(map(len, found[block].values()))
        ungated = sum(without for _, without in words.values())
        blocks[block] = ClockGating(placed[block], size - ungated, ungated, words)
    return blocks
