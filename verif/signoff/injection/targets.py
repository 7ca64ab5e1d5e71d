"""Targets of fault injection: register bits of a tile, and `valid` and `ready` of its streams."""

import json
import re
from dataclasses import dataclass

from adq.rtl.parameters import TileParameters
from adq.verif.signoff.injection.wires import FLIPS, TileWithWires
from adq.verif.signoff.mutation.mutants import FlatDesign, Mutant
from adq.verif.simulation.switching.activity import BLOCKS

__all__ = ["TOP", "FaultyTile", "Target"]

TOP = "tile_with_wires"

REGISTERS = "memory_map\ndffunmap\nopt_clean\n"
"""Yosys passes that turn memories into registers, and enables into multiplexers at their inputs. A
register then holds its value by reading its own output, so a bit inverted for one cycle stays
inverted."""


@dataclass(frozen=True)
class Target:
    """A bit that can flip.

    Attributes
    ----------
    kind : str
        A block of :data:`adq.verif.simulation.switching.activity.BLOCKS`, or ``valid`` or
        ``ready``.
    name : str
        Name of the register bit or of the stream's wire.
    select : int
        Value of the input ``mutant`` that flips the register bit; 0 for a wire.
    flip : int
        Value of the input ``flip`` that flips the wire; 0 for a register bit.
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
        All bits that can flip.
    verilog : str
        Verilog of the tile with fault injection.
    ports : list of str
        Names of its ports.
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
    """Return a public name for every net bit: the longest one, which is that of its driver."""
    names: dict[int, str] = {}
    for name, net in sorted(netlist["netnames"].items(), key=lambda item: -len(item[0])):
        if not net["hide_name"]:
            for place, bit in enumerate(net["bits"]):
                names.setdefault(bit, f"{name.removeprefix('tile.')}[{place}]")
    return names


def _kind(name: str) -> str:
    return next(block for block, start in BLOCKS.items() if re.match(start, name))
