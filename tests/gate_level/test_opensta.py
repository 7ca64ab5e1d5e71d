"""Internal energy and leakage of a library's cells against OpenSTA, where it is on the machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from adq.verif.gate_level.cell_events import cell_events
from adq.verif.liberty.cells import Cell
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library

pytestmark = pytest.mark.testpoint(
    reason="The tile in a library's cells: what it takes, not what it computes."
)

LIBERTY = Path(os.environ.get("ADQ_LIBERTY", "no such folder/none")).parent
SLEW, LOAD = 0.05, 5.0
"""ns and fF at every pin."""


def sensitized(cell: Cell) -> tuple[int, int] | None:
    """An input, and a state of all of them (bit by bit), in which it alone decides an output."""
    inputs = [pin.name for pin in cell.inputs]
    for pin in cell.outputs:
        table = truth_table(pin.function, inputs)
        for number in range(len(inputs)):
            for state in range(2 ** len(inputs)):
                if (table >> state & 1) != (table >> (state ^ 1 << number) & 1):
                    return number, state & ~(1 << number)
    return None


def energy(cell: Cell, number: int, state: int) -> float:
    """fJ of a toggle of an input, the mean of its two edges."""
    events = cell_events(cell)
    other = state | 1 << number
    changes = [b + (a << len(events.inputs)) for b, a in ((state, other), (other, state))]
    total = 0.0
    for event in events.events:
        point = {"slew": SLEW} | ({"load": LOAD} if event.output_pin else {})
        total += event.weights[changes].sum() * event.table.at(**point)
    return total / 2


def by_opensta(folder: Path, library: Library, cells: list[tuple[Cell, int, int]]) -> np.ndarray:
    """Internal power (uW, or fJ a toggle at a toggle a ns) and leakage (nW): (cells, 2)."""
    ports, instances, settings = [], [], []
    for n, (cell, number, state) in enumerate(cells):
        pins = {pin.name: f"p{n}_{pin.name}" for pin in (*cell.inputs, *cell.outputs)}
        ports += [("input", pins[pin.name]) for pin in cell.inputs]
        ports += [("output", pins[pin.name]) for pin in cell.outputs]
        connections = ", ".join(f".{pin}({port})" for pin, port in pins.items())
        instances.append(f"{cell.name} u{n} ({connections});")
        for place, pin in enumerate(cell.inputs):
            moves = place == number
            duty = 0.5 if moves else state >> place & 1
            settings.append(
                f"set_power_activity -input_ports [get_ports {pins[pin.name]}] "
                f"-activity {int(moves)} -duty {duty}"
            )
    lines = [f"module top ({', '.join(port for _, port in ports)});"]
    lines += [f"{direction} {port};" for direction, port in ports]
    (folder / "top.v").write_text("\n".join([*lines, *instances, "endmodule", ""]))
    (folder / "library.lib").write_bytes(library.text)
    script = [
        "read_liberty library.lib",
        "read_verilog top.v",
        "link_design top",
        "set_cmd_units -time ns -capacitance fF -power W",
        "create_clock -name c -period 1",
        "set_input_delay 0 -clock c [all_inputs]",
        f"set_input_transition {SLEW} [all_inputs]",
        f"set_load {LOAD} [all_outputs]",
        *settings,
        *(f"report_power -instances u{n} -digits 6" for n in range(len(cells))),
        "exit",
    ]
    (folder / "power.tcl").write_text("\n".join(script))
    result = subprocess.run(
        ["sta", "-no_splash", "power.tcl"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    rows = re.findall(r"^ *(\S+) +\S+ +(\S+) +\S+ u(\d+)$", result.stdout, re.MULTILINE)
    assert [int(row[2]) for row in rows] == list(range(len(cells))), result.stdout[:500]
    return np.array([[float(row[0]) * 1e6, float(row[1]) * 1e9] for row in rows])


def edges_added() -> float:
    """What OpenSTA makes of an energy that is 1: version 2.0 adds a rise's and a fall's, later ones
    take their mean.
    """
    version = subprocess.run(["sta", "-version"], capture_output=True, text=True, check=True).stdout
    return 2.0 if version.startswith("2.0.") else 1.0


@pytest.mark.skipif(not shutil.which("sta"), reason="OpenSTA (sta) is not installed")
@pytest.mark.parametrize(
    ("file", "gates"),
    [
        ("nangate45_typ.lib.gz", ("NAND2_X1", "NOR2_X1", "AND2_X1", "OR2_X1")),
        ("sky130hd_tt.lib.gz", ()),
    ],
)
def test_a_cell_of_each_kind(file, gates, tmp_path):
    """Leakage of every combinational cell; energy of those with one input, and of ``gates``.

    Version 2.0 adds energies of all inputs where it should weight them, so that it has a figure to
    compare with only where one input has all of the weight.
    """
    if not (LIBERTY / file).exists():
        pytest.skip(f"{LIBERTY / file}: not there; ADQ_LIBERTY names the folder of libraries")
    library = Library.read(LIBERTY / file)
    cells = [
        (cell, *sensitized(cell))
        for cell in library.cells.values()
        if not cell.sequential and cell.inputs and cell.usable and sensitized(cell)
    ]
    found = by_opensta(tmp_path, library, cells)
    scale, compared = edges_added(), 0
    for (cell, number, state), (power, leakage) in zip(cells, found, strict=True):
        assert leakage == pytest.approx(cell.leakage, rel=1e-5), cell.name
        if len(cell.inputs) == 1 or cell.name in gates:
            expected = scale * energy(cell, number, state)
            assert power == pytest.approx(expected, rel=1e-5), cell.name
            compared += 1
    assert len(cells) > 60
    assert compared >= 15 + len(gates)
