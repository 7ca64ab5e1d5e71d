"""A netlist as a simulator takes it: every net's value in every cycle goes to a file."""

from collections.abc import Sequence

from verif.gate_level.cell_models import cell_models
from verif.synthesis.liberty import Library
from verif.synthesis.netlist import Netlist

__all__ = ["RECORDING", "recorded_nets", "simulation_sources"]

RECORDING = "nets.bin"
"""File that a simulation leaves in its folder: a bit a net and cycle, in words of 32 bits, the
first net lowest. Values are those just before the clock's edge, from the first cycle on."""

WORD = 32


def recorded_nets(netlist: Netlist) -> list[int]:
    """Nets in the order in which they are recorded: all of them, once."""
    return list(dict.fromkeys(netlist.nets()))


def simulation_sources(netlist: Netlist, library: Library, *, clock: str) -> dict[str, str]:
    """Verilog files of a netlist that records itself, and of its cells.

    The top module is named as the netlist, with a port ``switching`` more, which the tile's harness
    reads and which is 0.
    """
    words = netlist.net_words()
    nets = recorded_nets(netlist)
    chunks = [nets[first : first + WORD] for first in range(0, len(nets), WORD)]
    record = [
        "  integer recording;",
        f'  initial recording = $fopen("{RECORDING}", "wb");',
        f"  always @(posedge {clock}) begin",
        *(f'    $fwrite(recording, "%u", {_word(chunk, words)});' for chunk in chunks),
        "  end",
    ]
    head, body = netlist.to_verilog().rsplit("endmodule", 1)[0].split(");", 1)
    ports = [f"{head}, switching);", "  output switching;", "  assign switching = 1'b0;"]
    return {
        "tile.v": "\n".join([*ports, body, *record, "endmodule", ""]),
        "cells.v": cell_models(library, (instance.cell for instance in netlist.instances)),
    }


def _word(nets: Sequence[int], words: dict) -> str:
    padding = [f"{WORD - len(nets)}'b0"] if len(nets) < WORD else []
    return f"{{{', '.join([*padding, *(words[net] for net in reversed(nets))])}}}"
