"""Liberty files as they are in practice: by hand, of a library of two supplies."""

import re
from pathlib import Path

import amaranth as am
import numpy as np
import pytest
from amaranth.back import rtlil

from adq.verif.gate_level.cell_events import CellEvents, cell_events
from adq.verif.gate_level.switching import Switching, SwitchingError
from adq.verif.liberty.functions import find_adder
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.liberty.repair import repaired
from adq.verif.synthesis.mapping import map_to_cells
from adq.verif.synthesis.netlist import Instance, Netlist
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="The tile in a library's cells: what it takes, not what it computes."
)

FOLDER = ROOT / "tests" / "liberty"
TINY = FOLDER / "tiny.lib"


@pytest.fixture(scope="module")
def two() -> Library:
    return Library.read(FOLDER / "two_supplies.lib")


def read(tmp_path: Path, text: str) -> Library:
    path = tmp_path / "changed.lib"
    path.write_bytes(text.encode("latin-1"))
    return Library.read(path)


def spent(events: CellEvents, change: int, *, slew: float = 0.0, load: float = 0.0) -> float:
    """fJ of a change of a cell."""
    point = {"slew": slew, "load": load}
    return sum(
        event.weights[change] * event.table.at(**{axis: point[axis] for axis in event.table.axes})
        for event in events.events
    )


def change(events: CellEvents, before: str, after: str, ticks: bool = False) -> int:
    """Number of a change, of states with the first input on the left."""
    states = [sum(int(bit) << place for place, bit in enumerate(s)) for s in (before, after)]
    size = len(events.inputs)
    return states[0] | states[1] << size | ticks << 2 * size


# Semantics


def test_energies_of_two_supplies_add_up(two):
    events = cell_events(two.cells["INV_X1"])
    assert spent(events, change(events, "0", "1"), slew=0.5, load=3) == pytest.approx(3.25 + 2)
    assert spent(events, change(events, "1", "0"), slew=0.5, load=3) == pytest.approx(3.25 + 2)


def test_an_output_takes_one_arc_of_each_supply(two):
    events = cell_events(two.cells["NAND2_X1"])
    # 10 and 20 whichever input causes it; A's own arc is 1 and 2, B's 3 and 4.
    rest = 0.125  # in A: its group without a condition
    assert spent(events, change(events, "01", "11")) == pytest.approx(20 + 2 + rest)
    assert spent(events, change(events, "11", "01")) == pytest.approx(10 + 1 + rest)
    assert spent(events, change(events, "10", "11")) == pytest.approx(20 + 4)
    assert spent(events, change(events, "00", "11")) == pytest.approx(20 + (2 + 4) / 2 + rest)


def test_power_without_a_condition_is_that_of_the_states_without_one(two):
    events = cell_events(two.cells["NAND2_X1"])
    assert spent(events, change(events, "00", "10")) == pytest.approx(0.25)
    assert spent(events, change(events, "10", "00")) == pytest.approx(0.75)


def test_power_of_an_output_that_names_no_input_counts_with_every_one(tmp_path):
    """As if each input were named."""
    text = TINY.read_text()
    start = text.index("cell (NAND2_X1)")
    cell = text[start : text.index("cell (", start + 6)]
    related = re.findall(r"internal_power \(\) \{\s*related_pin : \"\w\";", cell)
    assert len(related) == 2
    named = cell_events(Library.read(TINY).cells["NAND2_X1"])
    second = cell.index("internal_power", cell.index("internal_power") + 1)
    one_group = cell[:second].replace(related[0], "internal_power () {") + "} }\n  "
    events = cell_events(read(tmp_path, text.replace(cell, one_group)).cells["NAND2_X1"])
    for number in range(events.changes):
        assert spent(events, number, slew=0.3) == pytest.approx(spent(named, number, slew=0.3))
    assert spent(events, change(events, "01", "11"), slew=0.3) > 0


def test_leakage_is_the_sum_of_primary_supplies(two):
    inverter = cell_events(two.cells["INV_X1"])
    assert inverter.leakage[change(inverter, "0", "0")] == pytest.approx(5 + 0.5)
    assert inverter.leakage[change(inverter, "0", "1")] == pytest.approx(3 + 0.5)
    nand = cell_events(two.cells["NAND2_X1"])
    assert nand.leakage[change(nand, "00", "11")] == pytest.approx(7 + 1)
    assert nand.leakage[change(nand, "00", "01")] == pytest.approx(4 + 1)


def test_a_ground_in_front_does_not_hide_a_supply(tmp_path):
    text = TINY.read_text().replace(
        "cell_leakage_power : 1;",
        """cell_leakage_power : 1;
        pg_pin (VSS) { pg_type : primary_ground; } pg_pin (VDD) { pg_type : primary_power; }
        leakage_power () { related_pg_pin : VSS; value : 0; }
        leakage_power () { related_pg_pin : VDD; value : 30; }""",
        1,
    )
    cell = read(tmp_path, text).cells["INV_X1"]
    assert cell_events(cell).leakage.tolist() == [30] * 4


def test_a_state_that_no_group_names_leaks_as_the_cell(tmp_path):
    text = TINY.read_text().replace(
        "cell_leakage_power : 1;",
        'cell_leakage_power : 1; leakage_power () { when : "A"; value : 30; }',
        1,
    )
    events = cell_events(read(tmp_path, text).cells["INV_X1"])
    assert events.leakage[change(events, "0", "0")] == 1
    assert events.leakage[change(events, "0", "1")] == 30


def test_templates_of_power_and_of_delays_have_names_of_their_own(two):
    cell = two.cells["INV_X1"].pins["Y"]
    delay = cell.arcs[0].tables["cell_rise"]
    assert (delay.axes, delay.values.shape) == (("slew", "load"), (3, 3))
    power = cell.powers[0].tables["rise_power"]
    assert (power.axes, power.values.shape) == (("load", "slew"), (2, 2))


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        # capacitance in fF, energy in fJ, time in ns, leakage in nW, voltage in V
        ({}, (2, 2, 1, 1, 1)),
        ({"capacitive_load_unit": "(1, fF)"}, (2, 2, 1, 1, 1)),
        ({"capacitive_load_unit": "(1, pf)"}, (2e3, 2e3, 1, 1, 1)),
        ({"capacitive_load_unit": "(1000, ff)"}, (2e3, 2e3, 1, 1, 1)),
        ({"capacitive_load_unit": "(0.1, pF)"}, (200, 200, 1, 1, 1)),
        ({"leakage_power_unit": '"1pW"'}, (2, 2, 1, 1e-3, 1)),
        ({"leakage_power_unit": '"10nW"'}, (2, 2, 1, 10, 1)),
        ({"leakage_power_unit": '"1uW"'}, (2, 2, 1, 1e3, 1)),
        ({"leakage_power_unit": '"1mW"'}, (2, 2, 1, 1e6, 1)),
        ({"leakage_power_unit": '"1W"'}, (2, 2, 1, 1e9, 1)),
        ({"time_unit": '"1ps"'}, (2, 2, 1e-3, 1, 1)),
        ({"time_unit": '"10ps"'}, (2, 2, 1e-2, 1, 1)),
        ({"time_unit": '"100 ps"'}, (2, 2, 0.1, 1, 1)),
        ({"time_unit": "1ns"}, (2, 2, 1, 1, 1)),
        ({"voltage_unit": '"1mV"'}, (2, 2e-6, 1, 1, 1e-3)),
        ({"voltage_unit": '"100mV"'}, (2, 2e-2, 1, 1, 0.1)),
        ({"capacitive_load_unit": "(1, pf)", "voltage_unit": '"10mV"'}, (2e3, 0.2, 1, 1, 0.01)),
    ],
)
def test_units(tmp_path, units, expected):
    text = TINY.read_text()
    for attribute, unit in units.items():
        statement = f"{attribute} {unit};" if unit[0] == "(" else f"{attribute} : {unit};"
        text, count = re.subn(rf"{attribute} ?[:(][^;]*;", statement, text)
        assert count == 1
    library = read(tmp_path, text)
    inverter = library.cells["INV_X2"]
    capacitance, energy, time, leakage, voltage = expected
    assert inverter.pins["A"].capacitance == pytest.approx(capacitance)
    assert inverter.pins["Y"].powers[0].tables["rise_power"].values[0, 0] == pytest.approx(energy)
    delay = inverter.pins["Y"].arcs[0].tables["cell_rise"]
    assert delay.values[0, 0] == pytest.approx(0.01 * time)
    assert delay.indices[0].tolist() == pytest.approx([0, 0.5 * time, time])
    assert inverter.leakage == pytest.approx(2 * leakage)
    assert library.voltage == pytest.approx(voltage)


# Flip-flops of which all have a reset


def test_a_reset_is_tied(two):
    [flip_flop] = two.flip_flops()
    assert (flip_flop.name, flip_flop.tied) == ("DFFR_X1", {"RN": True})
    events = cell_events(flip_flop)
    assert events.inputs == ("D", "IQ")
    assert set(events.leakage) == {6}  # that of RN = 1
    # Q rises and falls by the clock, of which each tick takes 1 + 1.5
    assert spent(events, change(events, "10", "11", ticks=True)) == pytest.approx(4 + 2.5)
    assert spent(events, change(events, "01", "00", ticks=True)) == pytest.approx(5 + 2.5)
    assert spent(events, change(events, "00", "10")) == 0


@pytest.mark.parametrize(
    ("state", "tied"),
    [
        ('clear : "R";', {"R": False}),
        ('clear : "(!R)";', {"R": True}),
        ('preset : "R\'";', {"R": True}),
        ('clear : "!(!R)";', {"R": False}),
        ('clear : "!R"; preset : "!S";', {"R": True, "S": True}),
        ('clear : "R & S";', None),
        ('clear : "R"; preset : "R";', None),
        ('clear : "D";', None),
    ],
)
def test_how_a_reset_is_tied(tmp_path, state, tied):
    pins = " ".join(
        f"pin ({n}) {{ direction : input; capacitance : 1; }}" for n in "RS" if n in state
    )
    text = TINY.read_text().replace('next_state : "D"; }', f'next_state : "D"; {state} }} {pins}')
    library = read(tmp_path, text)
    assert library.cells["DFF_X1"].tied == tied
    assert [cell.name for cell in library.flip_flops()] == (["DFF_X1"] if tied else [])


def test_plain_flip_flops_are_preferred(tmp_path):
    text = TINY.read_text()
    start = text.index("cell (DFF_X1)")
    plain = text[start : text.index("cell (LATCH_X1)")]
    reset = plain.replace("DFF_X1", "DFFR_X1").replace("area : 8", "area : 1")
    reset = reset.replace(
        'next_state : "D"; }',
        'next_state : "D"; clear : "R"; } pin (R) { direction : input; capacitance : 1; }',
    )
    library = read(tmp_path, text.replace(plain, plain + reset))
    assert [cell.name for cell in library.flip_flops()] == ["DFF_X1"]


class Register(am.Elaboratable):
    def elaborate(self, platform):
        m = am.Module()
        self.a, self.b, self.q = am.Signal(3), am.Signal(3), am.Signal(3)
        m.d.sync += self.q.eq(~(self.a & self.b))
        return m


def test_registers_are_mapped_to_flip_flops_with_a_tied_reset(tmp_path):
    """By Yosys and ABC, which get the same library: no semicolons, and comments within strings."""
    reset = 'clear : "!RN" } pin (RN) { direction : input; capacitance : 1; }'
    text = TINY.read_text().replace('next_state : "D"; }', f'next_state : "D"; {reset}')
    text = text.replace(";\n", "\n").replace("area : 1.0\n", 'area : 1.0\n other : "// { /* "\n')
    text = text.replace("cell (NAND2_X1) {", "cell (NAND2_X1)\n {")
    library = read(tmp_path, text)
    design = Register()
    fragment = am.Fragment.get(design, None)
    source = rtlil.convert(fragment, ports=[design.a, design.b, design.q], name="top")
    netlist = map_to_cells(source, library, name="top")
    flip_flops = [each for each in netlist.instances if each.cell == "DFF_X1"]
    assert [instance.pins["RN"] for instance in flip_flops] == ["1"] * 3
    Switching(netlist, library, clock="clk")
    flip_flops[1].pins["RN"] = "0"
    with pytest.raises(SwitchingError, match="has a RN that is not tied to 1: a reset or set"):
        Switching(netlist, library, clock="clk")


def test_other_readers_get_all_but_internal_power(tmp_path):
    data = TINY.read_bytes()
    power = rb"\s*internal_power \(\) \{\n(?:\s*\w+ :[^\n]*\n|\s*\w+ \(\w+\) \{[^\n]*\n)*\s*\}"
    wanted, count = re.subn(power, b"", data)
    assert count == data.count(b"internal_power")
    assert repaired(data).split() == wanted.split()


def test_other_readers_get_semicolons_and_no_marks_in_strings():
    data = b"""library (a)
{ /* a: */ b : 1 // one
 c ("d // /* e}")
 f : "g" "h" /* i */
}
"""
    wanted = b"""library (a) { /* a: */ b : 1; // one
 c ("d _/ _* e_");
 f : "g" "h" /* i */;
}
"""
    assert repaired(data) == wanted


# Syntax


def tiny_with(old: str, new: str) -> str:
    text = TINY.read_text()
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("area : 1.0;", "area : 1.0"),
        ("area : 1.0;", "area : 1.0 /* um2 */"),
        ("area : 1.0;", "area : 1.0 // um2"),
        ("area : 1.0;", "area : /* of it */ 1.0 ; ; // um2"),
        ("area : 1.0;", 'area : "1.0";'),
        ("area : 1.0;", "area : \\\n 1.0;"),
        ("area : 1.0;", "area:1.0;\r"),
        ("area : 1.0;", 'area : 1.0\n footprint : "a // b"\n other : "/* not a comment"'),
        ("area : 1.0;", "area : 1.0; date : Mon 13:30:55 2026; x : 0.3 * VDD - (1 + 2);"),
        ("area : 1.0;", 'area : 1.0; note ("a // b", "/*", c/d); other ("*/");'),
        ("cell (INV_X1) {", "cell (INV_X1)\n{ // an inverter"),
        ("cell (INV_X1) {", 'cell ( /* first */ "INV_X1" ) // an inverter\n /* of two\n */ {'),
        ('index_1 ("0, 0.5, 1");', 'index_1 ("0, \\\n 0.5, 1")'),
        ('index_1 ("0, 0.5, 1");', 'index_1 ( \\\n "0, 0.5", // two\n "1" );'),
        ('related_pin : "A";\n', 'related_pin : "A"\n'),
        ("/* A library", "\n\n// It's \"one\n/* A library"),
    ],
)
def test_the_same_written_otherwise(tmp_path, old, new):
    library = read(tmp_path, tiny_with(old, new))
    expected = Library.read(TINY)
    assert list(library.cells) == list(expected.cells)
    cell, other = library.cells["INV_X1"], expected.cells["INV_X1"]
    assert (cell.area, list(cell.pins)) == (1.0, list(other.pins))
    arc, same = cell.pins["Y"].arcs[0], other.pins["Y"].arcs[0]
    assert arc.related_pin == "A"
    for name, table in arc.tables.items():
        assert np.array_equal(table.values, same.tables[name].values)
        assert [i.tolist() for i in table.indices] == [
            i.tolist() for i in same.tables[name].indices
        ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # A line that lacks its end, and would swallow what follows.
        (
            "area : 1.0;",
            "area : big\n",
            r"library \(tiny\) / cell \(INV_X1\): area must be a number",
        ),
        ("area : 1.0;", "area : 1.0 power : 2;", r"cell \(INV_X1\): area: ';' or the end of the"),
        ("area : 1.0;", "area : 1.0 2.0", r"area must be a number, not '1.0 2.0'"),
        ("area : 1.0;", "area :\n", r"cell \(INV_X1\): area: a value expected on this line"),
        ("area : 1.0;", "area : { x : 1; }", r"area: a value expected on this line"),
        ("area : 1.0;", "area 1.0;", r"cell \(INV_X1\): 'area': ':' or '\(' expected"),
        ("area : 1.0;", "area : 1_0;", r"area must be a number, not '1_0'"),
        ("area : 1.0;", "= 1.0;", r"cell \(INV_X1\): '=': ':' or '\(' expected"),
        ("area : 1.0;", "a (b (c));", r"cell \(INV_X1\): a: '\)' expected, not '\('"),
        (
            "area : 1.0;",
            "a (b) c;",
            r"cell \(INV_X1\): a: ';' or the end of the line expected, not",
        ),
        ("capacitance : 1;", "capacitance : x", r"pin \(A\): capacitance must be a number"),
        ("0.01, 0.06, 0.11", "0.01, 0.06, 1_1", r"cell_rise \(delay\): values: '1_1' is no number"),
        ("0.01, 0.06, 0.11", "0.01, x, 0.11", r"cell_rise \(delay\): values: 'x' is no number"),
        (
            "cell_rise (delay)",
            "cell_rise (dalay)",
            r"cell_rise \(dalay\): the library has no lu_table",
        ),
        (
            "rise_power (energy)",
            "rise_power (delay)",
            r"rise_power \(delay\): .* no power_lut_template",
        ),
        ('index_1 ("0, 0.5, 1");', 'index_1 ("0, 1, 0.5");', r"index_1 must rise from entry to"),
        ('time_unit : "1ns";', 'time_unit : "1..0ns";', r"time_unit: unknown unit"),
        ('time_unit : "1ns";', 'time_unit : "0ns";', r"time_unit: unknown unit"),
        (
            "capacitive_load_unit (1, ff);",
            "capacitive_load_unit (one, ff);",
            r"unknown unit 'one ff'",
        ),
        ("capacitive_load_unit (1, ff);", "capacitive_load_unit (1);", r"unknown unit '1 '"),
    ],
)
def test_what_does_not_parse_is_an_error_with_its_line(tmp_path, old, new, message):
    text = tiny_with(old, new)
    line = text[: text.index(new.strip())].count("\n") + 1
    with pytest.raises(LibertyError, match=message) as error:
        read(tmp_path, text)
    found = int(re.search(r": line (\d+): ", str(error.value))[1])
    assert abs(found - line) <= 1, error.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('library (a) { x : "b; }', r"line 1: library \(a\): x: a string that does not end"),
        (
            'library (a) { x ("b); }',
            r"line 1: cut short inside of library \(a\): x \( does not end",
        ),
        ("library (a) { /* b }", r"line 1: library \(a\): a name expected, not '/'"),
        ("library (a) { cell (b) { } } }", "line 1: text after the end of the library group"),
        ("library (a) { cell (b) { } }\nlibrary (c) { }", "line 2: text after the end of the lib"),
        (
            "library (a) { cell (b) { }\ncell (b) { } }",
            r"line 2: .*cell \(b\): a cell of this name",
        ),
        ("}", "a closing brace with nothing to close"),
    ],
)
def test_what_is_no_liberty_file(tmp_path, text, message):
    with pytest.raises(LibertyError, match=message):
        read(tmp_path, text)


def test_a_condition_that_is_none_is_told_with_its_cell(tmp_path):
    text = tiny_with(
        'related_pin : "A";\n        rise_power', 'related_pin : "A"; when : "A &";\n rise_power'
    )
    library = read(tmp_path, text)
    inverter = Instance("u", "INV_X1", {"A": 2, "Y": 3})
    ports = {"clk": ("input", [1]), "a": ("input", [2]), "y": ("output", [3])}
    netlist = Netlist("one", ports, [inverter], {})
    with pytest.raises(SwitchingError, match=r"changed\.lib: cell INV_X1: not a function.*'A &'"):
        Switching(netlist, library, clock="clk")


def test_a_function_that_is_none_is_told_with_its_cell(tmp_path):
    library = read(tmp_path, tiny_with("(A B) + (CI (A + B))", "(A B) + (CI (A + D))"))
    with pytest.raises(LibertyError, match=r"changed\.lib: cell FA_X1: not a function of A, B, CI"):
        find_adder(library, 3)


def test_a_gzipped_file_may_not_claim_any_size(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr("adq.verif.liberty.syntax.LARGEST", 1000)
    (tmp_path / "large.lib.gz").write_bytes(gzip.compress(b" " * 2000))
    with pytest.raises(LibertyError, match="no liberty file is that large"):
        Library.read(tmp_path / "large.lib.gz")
