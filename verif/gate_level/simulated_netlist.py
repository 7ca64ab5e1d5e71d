"""A netlist as a simulator takes it: every net's value in every cycle goes to a file."""

from collections.abc import Sequence

from adq.verif.gate_level.cell_models import cell_models
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Netlist

__all__ = ["RECORDING", "recorded_nets", "simulation_sources"]

RECORDING = "nets.bin"
"""File that a simulation leaves in its folder: a bit a net and cycle, in words of 32 bits, the
first net lowest. Values are those just before the clock's edge, from the first cycle on."""

WORD = 32


def recorded_nets(netlist: Netlist) -> list[int]:
    """Return the nets in the order in which they are recorded: all of them, once."""
    return list(dict.fromkeys(netlist.nets()))


def simulation_sources(netlist: Netlist, library: Library, *, clock: str) -> dict[str, str]:
    """Return Verilog files of a netlist that records itself, and of its cells.

    The top module is named as the netlist, with the ports that the tile's harness has more:
    ``switching``, which is 0, ``dump``, which does nothing, and ``window``, which is recorded
    behind the nets. So that the harness finds them, it has the wires ``weight_array.full``.
    """
    words = netlist.net_words()
    recorded = [words[net] for net in recorded_nets(netlist)]
    recorded += [f"window[{bit}]" for bit in range(2)]
    chunks = [recorded[first : first + WORD] for first in range(0, len(recorded), WORD)]
    full = ", ".join(words[net] for net in reversed(netlist.names["weight_array.full"]))
    record = [
        f"  wire [1:0] \\weight_array.full = {{{full}}};",
        "  integer recording;",
        f'  initial recording = $fopen("{RECORDING}", "wb");',
        f"  always @(posedge {clock}) begin",
        *(f'    $fwrite(recording, "%u", {_word(chunk)});' for chunk in chunks),
        "  end",
    ]
    head, body = netlist.to_verilog().rsplit("endmodule", 1)[0].split(");", 1)
    ports = [
        f"{head}, switching, window, dump);",
        "  output switching;",
        "  input [1:0] window;",
        "  input dump;",
        "  assign switching = 1'b0;",
    ]
    return {
        "tile.v": "\n".join([*ports, body, *record, "endmodule", ""]),
        "cells.v": cell_models(library, (instance.cell for instance in netlist.instances)),
    }


def _word(bits: Sequence[str]) -> str:
    padding = [f"{WORD - len(bits)}'b0"] if len(bits) < WORD else []
    return f"{{{', '.join([*padding, *reversed(bits)])}}}"
