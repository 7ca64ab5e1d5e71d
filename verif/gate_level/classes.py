"""Cells of a mapped netlist by the class of the nets that they drive."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from adq.verif.liberty.library import Library
from adq.verif.simulation.switching.net_classes import NetClass, named_nets
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["CellClasses"]

REST = "rest"
"""Name of the class of cells that lead to no named net of their block."""


class CellClasses:
    """Classes of the cells of a netlist, in the terms of its RTL.

    A cell is of the class of the net that it drives. Where mapping has removed the net's name, it
    is of the class of what it drives in its block: what computes a signal belongs to the signal. A
    buffer is of the class of the net in front of it, with which it toggles.

    Attributes
    ----------
    of_cells : list of NetClass
        By the number of the instance.
    fan_in : dict of NetClass to set of NetClass
        Classes of the nets that the cells of each class read or drive.
    named : set of NetClass
        Classes of which a net is left in the netlist.
    """

    def __init__(self, netlist: Netlist, library: Library):
        self.netlist, self.library = netlist, library
        self.owner = self._owners()
        self.named = {self.owner[net] for net in netlist.nets() if net in self.owner}
        self.of_cells = self._classes()
        self.fan_in: dict[NetClass, set[NetClass]] = defaultdict(set)
        for cell_class, instance in zip(self.of_cells, netlist.instances, strict=True):
            for net in instance.pins.values():
                found = self.owner.get(net) or self.driven_by.get(net)
                if found is not None:
                    self.fan_in[cell_class].add(found)

    def _owners(self) -> dict[Net, NetClass]:
        """Return the class of each net that has a name and is no input."""
        inputs = {
            net
            for direction, nets in self.netlist.ports.values()
            if direction == "input"
            for net in nets
        }
        owner: dict[Net, NetClass] = {}
        for name, net_class in named_nets(self.netlist.names):
            for net in self.netlist.names[name]:
                if isinstance(net, int) and net not in inputs:
                    owner.setdefault(net, net_class)
        return owner

    def _classes(self) -> list[NetClass]:
        instances = self.netlist.instances
        pins = {name: cell.pins for name, cell in self.library.cells.items()}

        def nets(instance: Instance, direction: str) -> list[Net]:
            return [
                net
                for pin, net in instance.pins.items()
                if pins[instance.cell][pin].direction == direction
            ]

        found: dict[int, NetClass] = {}
        self.driven_by: dict[Net, NetClass] = {}
        sinks: dict[Net, list[int]] = defaultdict(list)
        for number, instance in enumerate(instances):
            for net in nets(instance, "input"):
                sinks[net].append(number)

        def settle(number: int, name: str) -> None:
            found[number] = NetClass(instances[number].block, name)
            for net in nets(instances[number], "output"):
                self.driven_by[net] = found[number]

        for number, instance in enumerate(instances):
            owners = [self.owner[net] for net in nets(instance, "output") if net in self.owner]
            if owners:
                settle(number, min(owners).name)
        waiting = [number for number in range(len(instances)) if number not in found]
        while waiting:
            still = []
            for number in waiting:
                name = self._neighbour(instances[number], nets, sinks, found)
                if name is None:
                    still.append(number)
                else:
                    settle(number, name)
            if len(still) == len(waiting):
                for number in still:
                    settle(number, REST)
                break
            waiting = list(reversed(still))
        return [found[number] for number in range(len(instances))]

    def _neighbour(
        self,
        instance: Instance,
        nets: Callable[[Instance, str], list[Net]],
        sinks: Mapping[Net, list[int]],
        found: Mapping[int, NetClass],
    ) -> str | None:
        """Name of the class of a cell that drives no named net, where it is known by now."""
        if self._is_buffer(instance):
            [before] = nets(instance, "input")
            in_front = self.owner.get(before) or self.driven_by.get(before)
            if in_front is not None and in_front.block == instance.block:
                return in_front.name
        known = [
            found[number]
            for net in nets(instance, "output")
            for number in sinks[net]
            if number in found
        ]
        own = [each for each in known if each.block == instance.block]
        return min(own).name if own else None

    def _is_buffer(self, instance: Instance) -> bool:
        cell = self.library.cells[instance.cell]
        return (
            not cell.sequential
            and len(cell.inputs) == 1
            and all(pin.function == cell.inputs[0].name for pin in cell.outputs)
        )

    def sums(self, by_cell: Mapping[int, float]) -> dict[NetClass, float]:
        """Return the sums over the cells of each class."""
        sums: dict[NetClass, float] = {}
        for number, value in by_cell.items():
            sums[self.of_cells[number]] = sums.get(self.of_cells[number], 0.0) + value
        return sums
