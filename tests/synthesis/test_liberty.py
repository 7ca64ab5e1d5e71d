"""Liberty files, good and damaged."""

import gzip
import re

import numpy as np
import pytest

from adq.verif.liberty.cells import Table, WireLoad
from adq.verif.liberty.functions import evaluate, find_adder, truth_table
from adq.verif.liberty.library import LibertyError, Library
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"

# No time in the header: pytest names its cases by their bytes, and workers that collect in another
# second would see other tests.
GZIPPED = gzip.compress(TINY.read_bytes(), mtime=0)


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(TINY)


def test_a_cell(tiny):
    cell = tiny.cells["NAND2_X2"]
    assert (cell.area, cell.leakage, cell.sequential) == (3, 4, "")
    assert [pin.name for pin in cell.inputs] == ["A", "B"]
    assert cell.pins["A"].capacitance == 2
    assert (cell.pins["Y"].function, cell.pins["Y"].max_capacitance) == ("!(A & B)", 40)
    arc = cell.pins["Y"].arcs[0]
    assert (arc.related_pin, arc.kind, arc.sense) == ("A", "combinational", "negative_unate")
    # 0.012 + 0.1 * slew + 0.005 * load
    assert arc.tables["cell_rise"].at(slew=0.2, load=4) == pytest.approx(0.052)
    assert arc.tables["cell_rise"].at(slew=2, load=100) == pytest.approx(0.712)
    assert cell.pins["Y"].powers[1].related_pin == "B"
    assert cell.pins["Y"].powers[1].tables["rise_power"].at(slew=1, load=3) == pytest.approx(3.5)


def test_what_stores(tiny):
    [flip_flop] = tiny.flip_flops()
    assert (flip_flop.name, flip_flop.clocked_on, flip_flop.next_state) == ("DFF_X1", "CK", "D")
    assert flip_flop.pins["CK"].clock
    assert [gate.name for gate in tiny.clock_gates()] == ["CLKGATE_X1", "CLKGATE_X4"]
    roles = {pin.name: pin.role for pin in tiny.cells["CLKGATE_X1"].pins.values()}
    assert roles == {"CK": "clock", "E": "enable", "GCK": "output"}


def test_units_are_ours(tmp_path):
    text = TINY.read_text().replace("capacitive_load_unit (1, ff)", "capacitive_load_unit (2, pf)")
    text = text.replace('time_unit : "1ns"', 'time_unit : "10ps"').replace('"1V"', '"100mV"')
    text = text.replace('leakage_power_unit : "1nW"', 'leakage_power_unit : "1uW"')
    path = tmp_path / "other.lib"
    path.write_text(text)
    library = Library.read(path)
    inverter = library.cells["INV_X1"]
    assert inverter.pins["A"].capacitance == pytest.approx(2000)
    assert inverter.leakage == pytest.approx(1000)
    # slew of 1 is 0.01 ns, load of 10 is 20,000 fF; 2 pF * (0.1 V)^2 = 20 fJ
    delay = inverter.pins["Y"].arcs[0].tables["cell_rise"]
    assert delay.at(slew=0.01, load=20_000) == pytest.approx(0.0021)
    power = inverter.pins["Y"].powers[0].tables["rise_power"]
    assert power.at(slew=0, load=0) == pytest.approx(20)
    assert library.voltage == pytest.approx(0.1)
    assert library.wire_load.capacitance == pytest.approx(1000)


def test_gzipped_is_the_same(tiny, tmp_path):
    path = tmp_path / "tiny.lib.gz"
    path.write_bytes(gzip.compress(TINY.read_bytes()))
    assert Library.read(path).digest == tiny.digest


def test_wire_of_a_fanout():
    model = WireLoad(capacitance=0.5, slope=3, lengths=((1, 2.0), (4, 11.0)))
    lengths = model.length(np.array([0, 1, 2, 4, 6]))
    assert lengths.tolist() == [0, 2, 5, 11, 17]


@pytest.mark.parametrize(
    ("function", "table"),
    [
        ("A & B", 0b1000),
        ("A B", 0b1000),
        ("A' + !B", 0b0111),
        ("A ^ B", 0b0110),
        ("A | B & !A", 0b1110),
        ("!(A * B)'", 0b1000),
        ("1", 0b1111),
        ("0", 0b0000),
    ],
)
def test_functions(function, table):
    assert truth_table(function, ["A", "B"]) == table


@pytest.mark.parametrize("function", ["", "A &", "(A", "A $ B", "IQ", "A)"])
def test_what_is_no_function(function):
    with pytest.raises(ValueError, match="not a function"):
        truth_table(function, ["A", "B"])


@pytest.mark.parametrize(
    "function",
    ["A", "(A)", "A | B", "A + B | A", "A & B", "A B", "A ^ B", "!A", "A'", "(A | B)' B"],
)
def test_a_function_of_arrays_leaves_them_as_they_are(function):
    states = np.arange(4)
    values = {"A": (states & 1) == 1, "B": (states >> 1) == 1, "0": np.zeros(4, bool)}
    values["1"] = ~values["0"]
    before = {name: array.copy() for name, array in values.items()}
    found = evaluate(function, values)
    table = truth_table(function, ["A", "B"])
    assert found.tolist() == [bool(table >> state & 1) for state in states]
    for name, array in values.items():
        assert array.tolist() == before[name].tolist(), name


def test_many_points_of_a_table_are_looked_up_like_each():
    # Not linear, so that each pair of entries has a slope of its own.
    table = Table(
        ("slew", "load"),
        (np.array([0.0, 0.1, 0.4]), np.array([1.0, 2.0, 8.0, 20.0])),
        np.array([[1.0, 4, 2, 9], [3, 3, 7, 1], [8, 0, 5, 6]]),
    )
    # Entries, points between them and beyond both ends.
    slews, loads = np.meshgrid([-0.1, 0, 0.05, 0.1, 0.3, 0.4, 2], [0, 1, 1.5, 2, 5, 8, 19, 20, 50])
    found = table.at(slew=slews, load=loads)
    assert found.shape == slews.shape
    for slew, load, value in zip(slews.flat, loads.flat, found.flat, strict=True):
        alone = table.at(slew=slew, load=load)
        assert isinstance(alone, float)
        assert value == pytest.approx(alone, abs=1e-12)
    assert table.at(slew=0.1, load=8) == 7
    # Half way between 1, 4, 3 and 3; and by the last slope, of (6 - 5) / (20 - 8), beyond.
    assert table.at(slew=0.05, load=1.5) == pytest.approx((1 + 4 + 3 + 3) / 4)
    assert table.at(slew=0.4, load=32) == pytest.approx(7)
    # An axis may be one number for all.
    assert table.at(slew=0.4, load=np.array([20, 32])).tolist() == pytest.approx([6, 7])


def test_adders_are_found_by_what_they_compute(tiny):
    cell, total, carry = find_adder(tiny, 3)
    assert (cell.name, total, carry) == ("FA_X1", "S", "CO")
    cell, total, carry = find_adder(tiny, 2)
    assert (cell.name, total, carry) == ("HA_X1", "S", "CO")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GZIPPED[:-100], "gzipped, and cut short; fetch it again"),
        (GZIPPED[:10] + b"damage" * 9, "gzipped, and damaged"),
        (TINY.read_bytes()[:4900], r"cut short inside of library \(tiny\) / cell \(BUF_X1\) / pin"),
        (b"", "not a liberty file: it has no library group"),
        (b"# A title\n", "not a liberty file"),
        (b"library (empty) { }", "has no cells"),
        (b"module (top) { }", "not a liberty file: it starts with 'module'"),
        (b'library (a) { time_unit : "1 hour"; cell (x) { } }', "time_unit: unknown unit '1 hour'"),
        (b"library (a) { cell (x) { area : big; } }", r"cell \(x\): area must be a number"),
        (b"library (a) { " + b"a (b) { " * 99999, r"cut short inside of library \(a\) / a \(b\)"),
        (TINY.read_bytes().replace(b"0.01, 0.06", b"nan, 0.06"), "'nan' is no number"),
        (TINY.read_bytes().replace(b"area : 1.0", b"area : inf"), "area must be a number, not"),
        (TINY.read_bytes().replace(b"nom_voltage", b"nom_volts"), "nom_voltage, or the voltage of"),
        (
            TINY.read_bytes().replace(b'"0, 0.5, 1"', b'"0, 1"'),
            r"cell_rise \(delay\): 9 values where its indices ask for 2 x 3",
        ),
    ],
)
def test_bad_files(tmp_path, data, message):
    path = tmp_path / "bad.lib"
    path.write_bytes(data)
    with pytest.raises(LibertyError, match=f"^{path}: .*{message}") as error:
        Library.read(path)
    assert len(str(error.value)) < 1000


def test_a_missing_file(tmp_path):
    with pytest.raises(LibertyError, match="cannot read the liberty file: No such file"):
        Library.read(tmp_path / "none.lib")


def without_power(text: str, cells: tuple[str, ...] = ()) -> str:
    """The text with the internal_power of these cells, or of all, renamed."""
    parts = re.split(r"(?=  cell \()", text)
    return "".join(
        part.replace("internal_power", "other_power")
        if not cells or any(part.startswith(f"  cell ({cell})") for cell in cells)
        else part
        for part in parts
    )


def test_cells_without_internal_power_are_named(tiny, tmp_path):
    tiny.require_internal_power(tiny.cells)
    path = tmp_path / "no_power.lib"
    path.write_text(without_power(TINY.read_text(), ("NAND2_X1",)))
    library = Library.read(path)  # sizes and delays can be told
    library.require_internal_power(["INV_X1", "DFF_X1"])
    with pytest.raises(LibertyError, match=r"no_power\.lib: no internal_power in NAND2_X1: energy"):
        library.require_internal_power(["INV_X1", "NAND2_X1", "NAND2_X1"])
    path.write_text(without_power(TINY.read_text()))
    library = Library.read(path)
    with pytest.raises(LibertyError, match=r"no internal_power in .* and \d+ more cells: energy"):
        library.require_internal_power(library.cells)
