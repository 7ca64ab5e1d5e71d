"""One netlist out of those of a design's parts, which may be reduced to their interfaces."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Net, Netlist
from adq.verif.synthesis.timing import TimingGraph

__all__ = ["CLOCK", "interface_model", "link"]

CLOCK = "clk"
"""Port that all parts share."""


def interface_model(netlist: Netlist, library: Library, ports: Collection[str]) -> Netlist:
    """Return what paths through some ports of a netlist pass: the cells between these ports and
    registers, the registers, and all other cells that load a net of theirs.

    Inputs of such cells that come from elsewhere are open. Paths from register to register are left
    out; they are those of ``netlist`` alone.

    Parameters
    ----------
    ports
        Names of ports, the clock not among them.
    """
    graph = TimingGraph(netlist, library)
    found: dict[str, list[int]] = {"input": [], "output": []}
    for name in ports:
        direction, bits = netlist.ports[name]
        found[direction] += [graph.number[bit] for bit in bits if isinstance(bit, int)]
    inside = _reached(graph.edges, found["input"], graph.nets)
    inside |= _reached(graph.edges[:, ::-1], found["output"], graph.nets)
    kept: set[Net] = {net for net, number in graph.number.items() if inside[number]}
    instances = []
    for instance in netlist.instances:
        if not kept.isdisjoint(instance.pins.values()):
            pins = library.cells[instance.cell].pins
            stays = {
                pin.name
                for pin in pins.values()
                if pin.direction == "output" or pin.clock or pin.role == "clock"
            }
            nets = {p: net for p, net in instance.pins.items() if net in kept or p in stays}
            instances.append(Instance(instance.name, instance.cell, nets, instance.block))

    left = kept.union(*(each.pins.values() for each in instances))

    def without_others(named: Mapping[str, list[Net]]) -> dict[str, list[Net]]:
        return {
            name: [bit if bit in left else "x" for bit in bits]
            for name, bits in named.items()
            if not left.isdisjoint(bits)
        }

    of_ports = without_others({name: bits for name, (_, bits) in netlist.ports.items()})
    # A port that leads to a constant has to be told.
    of_ports |= {name: netlist.ports[name][1] for name in ports}
    of_ports |= {name: bits for name, (_, bits) in netlist.ports.items() if name == CLOCK}
    return Netlist(
        netlist.name,
        {name: (netlist.ports[name][0], bits) for name, bits in of_ports.items()},
        instances,
        without_others(netlist.names),
    )


def _reached(edges: np.ndarray, start: Iterable[int], nets: int) -> np.ndarray:
    """Return for each net whether it is one of ``start`` or edges lead to it from there."""
    order = np.argsort(edges[:, 0], kind="stable")
    targets = edges[order, 1]
    first = np.searchsorted(edges[order, 0], np.arange(nets + 1))
    reached = np.zeros(nets, bool)
    front = np.unique(np.fromiter(start, int))
    while front.size:
        reached[front] = True
        counts = first[front + 1] - first[front]
        offsets = np.repeat(first[front] - np.cumsum(counts) + counts, counts)
        front = np.unique(targets[offsets + np.arange(counts.sum())])
        front = front[~reached[front]]
    return reached


def link(places: Mapping[str, Netlist], name: str) -> Netlist:
    """Return one netlist of parts that are joined at their ports.

    Instances are named ``path/name``. Ports that lead to no part are those of the whole, named
    ``path.port``.

    Parameters
    ----------
    places
        Netlists by path; the whole at ``""`` is the first, and each part comes after the one that
        it stands in. A port ``path.port`` of a netlist is ``port`` of the part at ``path`` in it.
    name
        Of the netlist.
    """
    joined: dict[str, list[Net]] = {}  # ports of parts by full name -> nets of the whole
    ports: dict[str, tuple[str, list[Net]]] = {}
    names: dict[str, list[Net]] = {}
    instances: list[Instance] = []
    same: dict[Net, Net] = {}  # where two ports of a part are one net, or a port is constant
    last = 0
    for path, netlist in places.items():
        prefix = f"{path}." if path else ""
        net_of: dict[Net, Net] = {"0": "0", "1": "1", "x": "x"}
        for port, (_, bits) in netlist.ports.items():
            outside = joined.get(prefix + port)
            if outside is None and path and port == CLOCK:
                outside = ports[port][1]
            if outside is not None:
                for bit, net in zip(bits, outside, strict=True):
                    inside = net_of.setdefault(bit, net)
                    _join(same, inside, net)
        for net in netlist.nets():
            if net not in net_of:
                last += 1
                net_of[net] = last
        for port, (direction, bits) in netlist.ports.items():
            nets = [net_of[bit] for bit in bits]
            part, dot, _ = port.rpartition(".")
            if dot and prefix + part in places:
                joined[prefix + port] = nets
            elif prefix + port not in joined and not (path and port == CLOCK):
                ports[prefix + port] = direction, nets
        for word, bits in netlist.names.items():
            names[prefix + word] = [net_of.get(bit, "x") for bit in bits]
        for each in netlist.instances:
            pins = {pin: net_of[net] for pin, net in each.pins.items()}
            own = f"{path}/{each.name}" if path else each.name
            instances.append(Instance(own, each.cell, pins, each.block))
    for nets in (*names.values(), *(bits for _, bits in ports.values())):
        nets[:] = [_final(same, net) for net in nets]
    for each in instances:
        each.pins = {pin: _final(same, net) for pin, net in each.pins.items()}
    return Netlist(name, ports, instances, names)


def _final(same: Mapping[Net, Net], net: Net) -> Net:
    """Return the net that stands for all that are the same."""
    while net in same:
        net = same[net]
    return net


def _join(same: dict[Net, Net], one: Net, other: Net) -> None:
    """Note that two nets are one. A constant stands for nets that are the same as it."""
    one, other = _final(same, one), _final(same, other)
    if one != other:
        if isinstance(one, int):
            same[one] = other
        elif isinstance(other, int):
            same[other] = one
