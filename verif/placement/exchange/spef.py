"""SPEF of a placed design: the Steiner tree of each net as resistors and capacitors."""

from collections.abc import Iterator

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.placement.geometry import WireLayer
from adq.verif.placement.placer import Placement
from adq.verif.placement.wires import NetTrees, clock_nets, net_trees
from adq.verif.synthesis.netlist import Net, Netlist

__all__ = ["to_spef"]

LEAST = 1e-3
"""Ohm between pins in the same place: SPEF has no wire without resistance."""


def to_spef(
    netlist: Netlist,
    library: Library,
    placement: Placement,
    *,
    without: frozenset[Net] = frozenset(),
) -> str:
    """Return the SPEF of a placed netlist, in fF, ohm and ns.

    Half of each piece of wire is at either end of it.

    Parameters
    ----------
    without
        Nets that have no wire.
    """
    geometry = placement.floorplan.geometry
    lines = [
        '*SPEF "IEEE 1481-1998"',
        f'*DESIGN "{netlist.name}"',
        '*DATE "0"',
        '*VENDOR "adq"',
        '*PROGRAM "adq place"',
        '*VERSION "1"',
        '*DESIGN_FLOW "PIN_CAP NONE"',
        "*DIVIDER /",
        "*DELIMITER :",
        "*BUS_DELIMITER [ ]",
        "*T_UNIT 1 NS",
        "*C_UNIT 1 FF",
        "*R_UNIT 1 OHM",
        "*L_UNIT 1 HENRY",
        "",
    ]
    words = netlist.net_words()
    clocks = clock_nets(netlist, library)
    for group in net_trees(netlist, library, placement, set(netlist.nets()) - without):
        lengths = group.trees.edges
        for row, net in enumerate(group.nets):
            layer = geometry.clock if net in clocks else geometry.signal
            lines += _net(netlist, group, row, lengths[row], words[net], layer)
    return "\n".join([*lines, ""])


def _net(
    netlist: Netlist, group: NetTrees, row: int, edges: np.ndarray, word: str, layer: WireLayer
) -> Iterator[str]:
    """Yield the lines of one net; ``edges`` are the lengths of its tree's edges, in um."""
    parents = group.trees.parent[row]
    terminals = group.terminals[row]
    names, connections = [], []
    for terminal in terminals:
        if terminal.instance < 0 and not terminal.macro:
            names.append(terminal.name)
            connections.append(f"*P {terminal.name} {'I' if terminal.drives else 'O'}")
        else:
            owner = terminal.macro or netlist.instances[terminal.instance].name
            names.append(f"{owner}:{terminal.name}")
            connections.append(f"*I {names[-1]} {'O' if terminal.drives else 'I'}")
    names += [f"{word}:{node}" for node in range(1, len(parents) - len(names) + 1)]
    wire = edges * layer.capacitance
    at_node = wire / 2
    used = parents >= 0
    for node in used.nonzero()[0]:
        at_node[parents[node]] += wire[node] / 2
    yield f"*D_NET {word} {wire.sum():.6g}"
    yield "*CONN"
    yield from connections
    yield "*CAP"
    numbered = (node for node in range(len(parents)) if at_node[node] > 0)
    for number, node in enumerate(numbered, 1):
        yield f"{number} {names[node]} {at_node[node]:.6g}"
    yield "*RES"
    for number, node in enumerate(used.nonzero()[0], 1):
        resistance = max(LEAST, edges[node] * layer.resistance)
        yield f"{number} {names[parents[node]]} {names[node]} {resistance:.6g}"
    yield "*END"
    yield ""
