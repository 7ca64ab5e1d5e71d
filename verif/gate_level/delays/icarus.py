"""The delayed simulation of a netlist again, by Icarus Verilog.

Icarus has its own event queue and inertial delays, and simulates registers and clock gates, too,
from the first cycle on. It shares with ``event_simulation`` the delays alone.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adq.verif.gate_level.cell_models import cell_expressions
from adq.verif.gate_level.delays.event_simulation import FEMTOSECONDS, arc_delays, source_delays
from adq.verif.gate_level.switching import Switching
from adq.verif.liberty.cells import Cell
from adq.verif.processes import run_to_end
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.netlist import wired

__all__ = ["ICARUS", "icarus_toggles", "icarus_version"]

ICARUS = "iverilog"


def icarus_version() -> str | None:
    """Return the version of the Icarus Verilog on this machine, or None where there is none."""
    if shutil.which(ICARUS) is None or shutil.which("vvp") is None:
        return None
    text = run_to_end([ICARUS, "-V"]).stdout
    found = re.search(r"version (\S+)", text)
    return found[1] if found else "unknown"


def icarus_toggles(
    switching: Switching, recording: np.ndarray, *, first: int, period: float, directory: Path
) -> np.ndarray:
    """Return the toggles of each net from edge ``first`` to the recording's end, by Icarus Verilog.

    The inputs of the recording are played from its first cycle on; registers start at 0 and settle
    before ``first``. Clocks' toggles are not counted.

    Parameters
    ----------
    period
        Of the clock, in ns.

    Raises
    ------
    SimulationError
        If Icarus is not there, or fails.
    """
    if icarus_version() is None:
        raise SimulationError(f"{ICARUS} is not on this machine: sudo apt-get install iverilog")
    directory.mkdir(parents=True, exist_ok=True)
    inputs = [
        wired(net)
        for direction, nets in switching.netlist.ports.values()
        if direction == "input"
        for net in nets
        if net != switching.clocks[0]
    ]
    rows = [switching.row[net] for net in inputs]
    bits = np.unpackbits(recording, axis=1, bitorder="little")[:, rows]
    lines = ["".join(map(str, cycle[::-1])) for cycle in bits.tolist()]
    (directory / "inputs.txt").write_text("\n".join([*lines, ""]))
    (directory / "design.v").write_text(
        "\n".join(_verilog(switching, inputs, cycles=len(bits), first=first, period=period))
    )
    for command in (
        [ICARUS, "-g2005-sv", "-o", "design.vvp", "design.v"],
        ["vvp", "-n", "design.vvp"],
    ):
        ran = run_to_end(command, directory=directory)
        if ran.returncode:
            reason = (ran.stderr + ran.stdout).strip().splitlines() or ["no reason given"]
            raise SimulationError(f"{command[0]} failed ({ran.returncode}): {reason[0]}")
    words = switching.netlist.net_words()
    row_of = {words[net].replace(" ", ""): row for net, row in switching.row.items() if row >= 0}
    toggles = np.zeros(len(switching.nets), np.int64)
    for name, count in _changes(directory / "nets.vcd"):
        if name in row_of:
            toggles[row_of[name]] += count
    toggles[[switching.row[net] for net in switching.clocks]] = 0
    return toggles


def _verilog(
    switching: Switching, inputs: list[int], *, cycles: int, first: int, period: float
) -> Iterator[str]:
    """Yield the netlist with delays, its cells, and the bench."""
    netlist, library = switching.netlist, switching.library
    words = netlist.net_words()
    arcs, sources = arc_delays(switching), source_delays(switching)
    clock = switching.clocks[0]
    half = round(period * FEMTOSECONDS / 2)
    yield "`timescale 1fs / 1fs"
    for name in sorted({instance.cell for instance in netlist.instances}):
        yield from _cell(library.cells[name])
    yield "module bench;"
    on_ports = set()
    for name, (_, bits) in netlist.ports.items():
        yield f"  wire {f'[{len(bits) - 1}:0] ' if len(bits) > 1 else ''}{name};"
        for place, net in enumerate(bits):
            word = f"{name}[{place}]" if len(bits) > 1 else name
            if isinstance(net, int) and words[net] == word:
                on_ports.add(net)
    yield from (f"  wire {words[net]};" for net in switching.nets if net not in on_ports)
    yield "  reg clock = 0;"
    yield f"  assign {words[clock]} = clock;"
    yield f"  reg [{len(inputs) - 1}:0] played [0:{cycles - 1}];"
    yield f"  reg [{len(inputs) - 1}:0] now;"
    yield "  integer cycle;"
    for place, net in enumerate(inputs):
        fall, rise = sources[net]
        yield f"  assign #({rise}, {fall}) {words[net]} = now[{place}];"
    for number, instance in enumerate(netlist.instances):
        cell = library.cells[instance.cell]
        values: list[int] = []
        for output in cell.outputs:
            if cell.sequential == "ff":
                values += sources[wired(instance.pins[output.name])]
            elif not cell.sequential:
                for pin in cell.inputs:
                    values += arcs.get((number, pin.name, output.name), (1, 1))
        delays = f" #({', '.join(map(str, values))})" if values else ""
        pins = ", ".join(f".{pin}({words[net]})" for pin, net in instance.pins.items())
        yield f"  {instance.cell}{delays} {instance.name} ({pins});"
    yield from (
        "  initial begin",
        '    $readmemb("inputs.txt", played);',
        "    now = played[0];",
        f"    #{2 * half};",
        f"    for (cycle = 0; cycle < {cycles - 1}; cycle = cycle + 1) begin",
        f"      if (cycle == {first}) begin",
        '        $dumpfile("nets.vcd");',
        "        $dumpvars(1, bench);",
        "      end",
        "      clock = 1;",
        "      now = played[cycle + 1];",
        f"      #{half} clock = 0;",
        f"      #{half};",
        "    end",
        "    $finish;",
        "  end",
        "endmodule",
        "",
    )


def _cell(cell: Cell) -> Iterator[str]:
    """Yield the module of a cell with delays as parameters: of each output, falling and rising; of
    a combinational one from each input.
    """
    expressions = cell_expressions(cell)
    pins = [pin.name for pin in cell.inputs]
    outputs = [pin.name for pin in cell.outputs]
    if cell.sequential == "clock_gate":
        gate = expressions
        yield f"module {cell.name} ({', '.join(cell.pins)});"
        yield from _directions(cell)
        yield f"  reg enabled = 0; always @* if (!{gate['clock']}) enabled = {gate['enable']};"
        yield f"  assign {outputs[0]} = {gate['clock']} & enabled;"
        yield "endmodule"
        return
    froms = [""] if cell.sequential else [f"_{pin}" for pin in pins]
    names = [f"{edge}{pin}_{out}" for out in outputs for pin in froms for edge in ("fall", "rise")]
    parameters = ", ".join(f"{name} = 1" for name in names)
    yield f"module {cell.name} #(parameter {parameters}) ({', '.join(cell.pins)});"
    yield from _directions(cell)
    if cell.sequential:
        stored = cell.state[0]
        yield f"  reg {stored} = 0;"
        yield f"  always @(posedge {expressions['clock']}) {stored} = {expressions['next']};"
        for out in outputs:
            yield f"  assign #(rise_{out}, fall_{out}) {out} = {expressions[out]};"
    else:
        for out in outputs:
            yield f"  reg [63:0] rise_{out}, fall_{out}; reg value_{out};"
            for pin in pins:
                yield (
                    f"  always @({pin}) begin rise_{out} = rise_{pin}_{out}; "
                    f"fall_{out} = fall_{pin}_{out}; value_{out} = {expressions[out]}; end"
                )
            yield (
                f"  initial begin rise_{out} = 1; fall_{out} = 1; value_{out} = "
                f"{expressions[out]}; end"
            )
            yield f"  assign #(rise_{out}, fall_{out}) {out} = value_{out};"
    yield "endmodule"


def _directions(cell: Cell) -> Iterator[str]:
    yield from (f"  {pin.direction} {pin.name};" for pin in cell.pins.values())


def _changes(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the changes of every bit in a value change dump, but for the values that it begins
    with.
    """
    names: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    counts: dict[str, list[int]] = {}
    beginning = True
    with path.open() as file:
        for line in file:
            word = line.strip()
            if word.startswith("$var"):
                _, _, width, code, name, *_ = word.split()[:-1]
                high = int(width)
                names[code] = [name] if high == 1 else [f"{name}[{i}]" for i in range(high)]
                counts[code] = [0] * high
            elif word == "$end":
                beginning = False
            elif word.startswith("$dumpvars"):
                beginning = True
            elif word and word[0] in "01xzb":
                text, code = word.split() if word[0] == "b" else (word[0], word[1:])
                bits = text.lstrip("b")
                if code not in names:
                    continue
                size = len(names[code])
                bits = bits.rjust(size, "0" if bits[0] == "1" else bits[0])[::-1]
                if not beginning:
                    for place, (old, new) in enumerate(zip(values[code], bits, strict=True)):
                        counts[code][place] += old != new
                values[code] = bits
    for code, found in counts.items():
        yield from zip(names[code], found, strict=True)
