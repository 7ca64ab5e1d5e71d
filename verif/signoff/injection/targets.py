"""What can flip: every register bit of a tile, and its streams' ``valid`` and ``ready``."""

import json
import re
from dataclasses import dataclass

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.injection.wires import FLIPS, TileWithWires
from adq.verif.signoff.mutation.mutants import FlatDesign, Mutant
from adq.verif.simulation.activity import BLOCKS

__all__ = ["TOP", "FaultyTile", "Target"]

TOP = "tile_with_wires"

REGISTERS = "memory_map\ndffunmap\nopt_clean\n"
"""Every bit of state becomes a bit of a register whose enable is a multiplexer in front of it, so
that what reads the register includes itself: a bit inverted for a cycle stays so."""


@dataclass(frozen=True)
class Target:
    """A bit that can flip.

    Attributes
    ----------
    kind : str
        A block of :data:`adq.verif.simulation.activity.BLOCKS`, or ``valid`` or ``ready``.
    name : str
        The register's, or that of the stream's wire.
    select : int
        Value of the input that flips a register bit; 0 for a wire.
    flip : int
        Value of the input that flips wires; 0 for a register bit.
    """

    kind: str
    name: str
    select: int = 0
    flip: int = 0


class FaultyTile:
    """A tile in which any one bit can flip in any one cycle.

    Attributes
    ----------
    targets : list of Target
    verilog : str
    ports : list of str
    """

    def __init__(self, parameters: TileParameters):
        design = FlatDesign(TileWithWires(parameters), TOP, prepare=REGISTERS)
        netlist = json.loads(
            design.output("write_json netlist.json\n", "netlist.json", "list registers")
        )["modules"][TOP]
        names = _names(netlist)
        flips, self.targets = [], []
        for cell_name, cell in netlist["cells"].items():
            if cell["type"] != "$dff":
                continue
            for place, bit in enumerate(cell["connections"]["Q"]):
                number = len(flips) + 1
                flips.append(
                    Mutant(
                        number=number,
                        mode="inv",
                        part="",
                        arguments=f"-cell {_escaped(cell_name)} -port Q -portbit {place}",
                        place="",
                        sources=(),
                    )
                )
                name = names.get(bit, cell_name)
                self.targets.append(Target(_kind(name), name, select=number))
        for place, name in enumerate(FLIPS):
            self.targets.append(Target(name.rpartition(".")[2], name, flip=1 << place))
        self.verilog = design.mutated(flips, optimize="opt_clean")
        self.ports = design.ports


def _escaped(name: str) -> str:
    return name if name.startswith("$") else f"\\{name}"


def _names(netlist: dict) -> dict[int, str]:
    """A public name of every net, the longest where there are several: that of what drives it."""
    names: dict[int, str] = {}
    for name, net in sorted(netlist["netnames"].items(), key=lambda item: -len(item[0])):
        if not net["hide_name"]:
            for place, bit in enumerate(net["bits"]):
                names.setdefault(bit, f"{name.removeprefix('tile.')}[{place}]")
    return names


def _kind(name: str) -> str:
    return next(block for block, start in BLOCKS.items() if re.match(start, name))
