"""Assignment of cells to the blocks of the tile, and legal names."""

import re
from collections import defaultdict
from collections.abc import Mapping

from adq.verif.liberty.library import Library
from adq.verif.simulation.switching.activity import BLOCKS
from adq.verif.synthesis.netlist import Instance, Net, Netlist

__all__ = ["name_cells"]


def _rank(name: str, blocks: Mapping[str, str]) -> int:
    """Return the position of a name's block."""
    return next(i for i, start in enumerate(blocks.values()) if re.match(start, name))


def name_cells(
    netlist: Netlist,
    library: Library,
    *,
    blocks: Mapping[str, str] = BLOCKS,
    prefix: str = "",
) -> None:
    """Give each cell its block and a legal name.

    A cell belongs to the block of the net that it drives, by the name that the net has in the
    block that comes first; where the net has lost its name in mapping, to the block
    of what it drives.

    Parameters
    ----------
    blocks
        Regular expressions that the names of a block's nets begin with.
    prefix
        Where the netlist stands in the tile, ending with a dot.
    """
    order = list(blocks)
    rank: dict[Net, int] = {}
    for name, nets in netlist.names.items():
        named = _rank(prefix + name, blocks)
        for net in nets:
            if isinstance(net, int) and (name not in netlist.ports or net not in rank):
                rank[net] = min(named, rank.get(net, named))
    driven: dict[Net, list[Instance]] = defaultdict(list)  # net -> cells that it goes to
    outputs = {}
    for instance in netlist.instances:
        pins = library.cells[instance.cell].pins
        outputs[id(instance)] = [
            net for pin, net in instance.pins.items() if pins[pin].direction == "output"
        ]
        for pin, net in instance.pins.items():
            if pins[pin].direction == "input":
                driven[net].append(instance)

    def block_of(instance: Instance) -> int | None:
        ranks = [rank[net] for net in outputs[id(instance)] if net in rank]
        return min(ranks, default=None)

    waiting = [i for i in netlist.instances if block_of(i) is None]
    last = len(order) - 1
    while waiting:
        still = []
        for instance in waiting:
            known = [
                block
                for net in outputs[id(instance)]
                for sink in driven[net]
                if (block := block_of(sink)) is not None
            ]
            if not known:
                still.append(instance)
            for net in outputs[id(instance)]:
                if known:
                    rank[net] = min(known)
        if len(still) == len(waiting):  # they drive nothing
            for instance in still:
                rank.update((net, last) for net in outputs[id(instance)])
            break
        waiting = list(reversed(still))
    for number, instance in enumerate(netlist.instances):
        block = block_of(instance)
        instance.block = order[last if block is None else block]
        instance.name = f"u{number}"
