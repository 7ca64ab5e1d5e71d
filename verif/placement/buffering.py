"""Buffers of large nets, put where the pins stand."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.placement.netlists import buffers
from adq.verif.placement.placer import Placement
from adq.verif.placement.wires import clock_nets, pin_positions
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["MAX_FANOUT", "insert_buffers"]

MAX_FANOUT = 12
"""Pins of a buffer, as in synthesis."""


@dataclass
class _End:
    """A pin that a buffer may drive."""

    x: float
    y: float
    instance: Instance
    pin: str


def insert_buffers(
    netlist: Netlist, library: Library, placement: Placement, *, most: int = MAX_FANOUT
) -> tuple[np.ndarray, np.ndarray]:
    """Give every net with more than ``most`` pins a tree of buffers, clocks excepted; pins that
    stand together share one.

    The buffers become the last instances of the netlist. Returns where they are wanted, in um.
    """
    kinds = buffers(library)
    if not kinds:
        return np.zeros(0), np.zeros(0)
    cell = kinds[0]
    source, output = cell.inputs[0].name, cell.outputs[0].name
    clocks = clock_nets(netlist, library)
    ends: dict[Net, list[_End]] = defaultdict(list)
    block: dict[Net, str] = {}
    for number, instance in enumerate(netlist.instances):
        pins = library.cells[instance.cell].pins
        for pin, net in instance.pins.items():
            if pins[pin].direction == "output":
                block[net] = instance.block
            elif isinstance(net, int):
                x, y = pin_positions(placement, number, instance.cell, pin)
                ends[net].append(_End(x, y, instance, pin))
    added: list[_End] = []
    for net, pins_on in ends.items():
        if net in clocks or len(pins_on) <= most:
            continue
        waiting = pins_on
        while len(waiting) > most:
            level = []
            for cluster in _clusters(waiting, -(-len(waiting) // most)):
                driven = netlist.new_net()
                for end in cluster:
                    end.instance.pins[end.pin] = driven
                buffered: dict[str, Net] = {source: net, output: driven}
                owner = block.get(net, pins_on[0].instance.block)
                instance = Instance(f"buffer_{driven}", cell.name, buffered, owner)
                x, y = (float(np.median([getattr(end, axis) for end in cluster])) for axis in "xy")
                level.append(_End(x, y, instance, source))
            added += level
            waiting = level
    netlist.instances += [end.instance for end in added]
    return np.array([end.x for end in added]), np.array([end.y for end in added])


def _clusters(ends: list[_End], count: int) -> list[list[_End]]:
    """Cut ends into ``count`` groups of about the same size, across the longer side each time."""
    if count == 1:
        return [ends]
    x, y = ([getattr(end, axis) for end in ends] for axis in "xy")
    across = np.ptp(x) >= np.ptp(y)
    ordered = sorted(
        ends,
        key=lambda e: (e.x if across else e.y, e.y if across else e.x, e.instance.name, e.pin),
    )
    first = count // 2
    middle = len(ends) * first // count
    return _clusters(ordered[:middle], first) + _clusters(ordered[middle:], count - first)
