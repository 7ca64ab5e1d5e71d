"""An estimate of the clock tree that a netlist does not have yet.

Static timing takes the clock as ideal: its root drives the clock gates of the first stage, and the
registers that have no gate, through a net with pins and a wire but no driver. A tree of buffers has
to stand there. It is estimated, not built. Every buffer drives ``FANOUT`` pins, over a wire as long
as the wire load model says; it is the smallest of the library that may drive that; every level has
a buffer for each ``FANOUT`` pins of the level behind it; all of it toggles twice a cycle. Nets
behind clock gates get no buffers: they are in the netlist with their pins and wires, and no gate
drives more flip-flops than it may.
"""

import math
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.synthesis.netlist import Netlist
from adq.verif.synthesis.timing import TimingGraph

__all__ = ["FANOUT", "ClockTree", "estimate_clock_tree"]

FANOUT = 20
"""Pins that a buffer of the tree drives: an assumption, in the middle of what is usual."""


@dataclass(frozen=True)
class ClockTree:
    """An estimated tree.

    Attributes
    ----------
    sinks : clock pins that the root reaches
    levels : buffers of each level, those that drive the sinks first
    energy : fJ a cycle of what the netlist's own figure leaves out: inside buffers, of their input
        pins, and of the wires to them
    """

    buffer: str
    sinks: int
    levels: tuple[int, ...]
    energy: float

    @property
    def buffers(self) -> int:
        """Buffers of all levels."""
        return sum(self.levels)


def estimate_clock_tree(netlist: Netlist, library: Library, *, clock: str) -> ClockTree:
    """Estimate the tree of a netlist's root clock.

    Parameters
    ----------
    clock
        Port of the clock.

    Raises
    ------
    LibertyError
        If the library has no buffer that can drive ``FANOUT`` of the netlist's clock pins.
    """
    [root] = netlist.ports[clock][1]
    pins = [
        library.cells[instance.cell].pins[pin].capacitance
        for instance in netlist.instances
        for pin, net in instance.pins.items()
        if net == root
    ]
    slew = TimingGraph(netlist, library).clock_slew
    wire = float(library.wire_load.length(np.array(FANOUT))) * library.wire_load.capacitance
    buffer, source, output = _buffer(library, FANOUT * max(pins, default=0.0) + wire)
    levels = []
    left = len(pins)
    while left > 1:
        left = math.ceil(left / FANOUT)
        levels.append(left)
    total = sum(levels)
    capacitance = buffer.pins[source].capacitance
    loads = [sum(pins) / max(levels[0], 1) + wire] if levels else []
    loads += [FANOUT * capacitance + wire for _ in levels[1:]]
    energy = 0.0
    for count, load in zip(levels, loads, strict=True):
        energy += count * _inside(buffer, output, slew, load)
    # Each buffer's pin, up and down, and the wires between levels; those to the sinks are one long
    # wire in the netlist's own figure, which counts them.
    energy += (total * capacitance + sum(levels[1:]) * wire) * library.voltage**2
    return ClockTree(buffer.name, len(pins), tuple(levels), energy)


def _buffer(library: Library, load: float) -> tuple[Cell, str, str]:
    """Return the smallest buffer that may drive a load, its input and its output."""
    for cell in sorted(library.cells.values(), key=lambda cell: cell.area):
        if cell.sequential or not cell.usable or len(cell.inputs) != 1 or len(cell.outputs) != 1:
            continue
        [source], [output] = cell.inputs, cell.outputs
        if output.function.strip("() ") == source.name and output.max_capacitance >= load:
            return cell, source.name, output.name
    raise LibertyError(f"{library.path}: no buffer that may drive {load:.0f} fF")


def _inside(cell: Cell, output: str, slew: float, load: float) -> float:
    """Return the fJ inside a buffer that rises and falls."""
    total = 0.0
    for power in cell.pins[output].powers:
        both = power.tables.get("power")
        for edge in ("rise_power", "fall_power"):
            table = power.tables.get(edge, both)
            if table is not None:
                total += float(table.at(slew=slew, load=load))
    return total
