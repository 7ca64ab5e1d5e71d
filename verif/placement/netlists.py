"""Netlists with and without buffers."""

from adq.verif.liberty.cells import Cell
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["buffers", "copied", "without_buffers"]


def buffers(library: Library) -> list[Cell]:
    """Buffers of a library, smallest first."""
    found = [
        cell
        for cell in library.cells.values()
        if cell.usable
        and not cell.sequential
        and len(cell.inputs) == len(cell.outputs) == 1
        and cell.outputs[0].function.strip("() ") == cell.inputs[0].name
    ]
    return sorted(found, key=lambda cell: cell.area)


def copied(netlist: Netlist) -> Netlist:
    """Return a netlist whose instances may be changed, while those of the given one stay."""
    instances = [Instance(i.name, i.cell, dict(i.pins), i.block) for i in netlist.instances]
    return Netlist(netlist.name, netlist.ports, instances, netlist.names, netlist.parasitics)


def without_buffers(netlist: Netlist, library: Library, block: str | None = None) -> Netlist:
    """Return a copy whose buffers, or those of a block, are gone: what they drove is on the nets in
    front of them.

    Buffers that drive an output port, or are driven by a constant, stay.
    """
    kinds = {cell.name: (cell.inputs[0].name, cell.outputs[0].name) for cell in buffers(library)}
    kept = {
        net for direction, bits in netlist.ports.values() if direction == "output" for net in bits
    }
    before: dict[Net, Net] = {}
    found = copied(netlist)
    for instance in found.instances:
        if instance.cell in kinds and block in (None, instance.block):
            source, output = (instance.pins[pin] for pin in kinds[instance.cell])
            if output not in kept and isinstance(source, int):
                before[output] = source

    def root(net: Net) -> Net:
        while net in before:
            net = before[net]
        return net

    def gone(instance: Instance) -> bool:
        return instance.cell in kinds and instance.pins[kinds[instance.cell][1]] in before

    found.instances = [instance for instance in found.instances if not gone(instance)]
    for instance in found.instances:
        instance.pins = {pin: root(net) for pin, net in instance.pins.items()}
    return found
