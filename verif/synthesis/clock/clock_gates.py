"""Clock gates: one for each weight word, and counts of the flip-flops behind them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["ClockGating", "clock_gating", "split_clock_gates"]

STORAGE = "storage"


@dataclass(frozen=True)
class ClockGating:
    """Clock gates of a block, and its flip-flops and latches with and without one."""

    clock_gates: int
    gated: int
    ungated: int
    words: dict[str, tuple[frozenset[Net], int]]
    """Gated clocks that reach each register, and its flip-flops without one."""


def _word_of(netlist: Netlist, net: Net) -> str:
    return re.sub(r"\[\d+\]$", "", netlist.name_of(net))


def _role(instance: Instance, library: Library, role: str) -> str:
    pins = library.cells[instance.cell].pins.values()
    return next(pin.name for pin in pins if pin.role == role)


def _gates(netlist: Netlist, library: Library) -> dict[Net, Instance]:
    """Return the gated clocks and their gates."""
    return {
        instance.pins[_role(instance, library, "output")]: instance
        for instance in netlist.instances
        if library.cells[instance.cell].sequential == "clock_gate"
    }


def _flip_flops(netlist: Netlist, library: Library) -> Iterator[tuple[Instance, str, Net]]:
    """Return flip-flops and latches, their clock pins and their output nets."""
    for instance in netlist.instances:
        cell = library.cells[instance.cell]
        if cell.sequential in ("ff", "latch"):
            yield instance, cell.clocked_on, instance.pins[cell.outputs[0].name]


def split_clock_gates(netlist: Netlist, library: Library) -> None:
    """Give every word of the weight storage its own clock gate, even if words load in the same
    cycle, so that a gate stands beside its row. In other blocks, split gates that drive more
    flip-flops than the strongest gate can.
    """
    gates = _gates(netlist, library)
    most = _most_driven(library)
    words: dict[Net, dict[str, list[tuple[Instance, str]]]] = defaultdict(
        lambda: defaultdict(list)
    )  # flip-flops by clock and word
    for instance, clock_pin, output in _flip_flops(netlist, library):
        clock = instance.pins[clock_pin]
        if clock in gates:
            word = _word_of(netlist, output) if instance.block == STORAGE else ""
            words[clock][word].append((instance, clock_pin))
    for clock, members in words.items():
        parts = [
            flip_flops[first : first + most]
            for flip_flops in members.values()
            for first in range(0, len(flip_flops), most)
        ]
        gate = gates[clock]
        for part in parts[1:]:
            output = netlist.new_net()
            pins = gate.pins | {_role(gate, library, "output"): output}
            netlist.instances.append(Instance(f"clock_gate_{output}", gate.cell, pins, gate.block))
            for instance, clock_pin in part:
                instance.pins[clock_pin] = output


def _most_driven(library: Library) -> int:
    """Return the number of flip-flops that the strongest clock gate can drive, including their
    wire.
    """
    flip_flop = library.flip_flops()[0]
    pin = flip_flop.pins[flip_flop.clocked_on].capacitance
    outputs = (pin for gate in library.clock_gates() for pin in gate.outputs)
    most = max((output.max_capacitance for output in outputs), default=0.0)
    counts = np.arange(1, 4096)
    wire = library.wire_load.length(counts) * library.wire_load.capacitance
    return max(1, int((counts * pin + wire <= most).sum()))


def clock_gating(netlist: Netlist, library: Library) -> dict[str, ClockGating]:
    """Return clock gates and flip-flops of each block that has any."""
    gates = _gates(netlist, library)
    placed = Counter(gate.block for gate in gates.values())
    found: dict[str, dict[str, list[Net]]] = defaultdict(
        lambda: defaultdict(list)
    )  # clocks by block and word
    for instance, clock_pin, output in _flip_flops(netlist, library):
        found[instance.block][_word_of(netlist, output)].append(instance.pins[clock_pin])
    blocks = {}
    for block in {**placed, **found}:
        words = {
            word: (frozenset(gates.keys() & clocks), sum(clock not in gates for clock in clocks))
            for word, clocks in found[block].items()
        }
        size = sum(map(len, found[block].values()))
        ungated = sum(without for _, without in words.values())
        blocks[block] = ClockGating(placed[block], size - ungated, ungated, words)
    return blocks
