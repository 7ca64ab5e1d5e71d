"""The estimate of a clock tree against arithmetic by hand."""

import pytest

from adq.verif.gate_level.clock_tree import estimate_clock_tree
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.synthesis.netlist import Instance, Netlist
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="The tile in a library's cells: what it takes, not what it computes."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"


def registers(count: int) -> Netlist:
    cells = [
        Instance(f"u{i}", "DFF_X1", {"CK": 1, "D": 2, "Q": 3 + i}, "storage") for i in range(count)
    ]
    return Netlist("registers", {"clk": ("input", [1]), "d": ("input", [2])}, cells, {})


def test_a_tree_of_two_levels_by_hand():
    tree = estimate_clock_tree(registers(30), Library.read(TINY), clock="clk")
    # 20 pins of 1 fF and half a fF of wire each: 30 fF, more than BUF_X1 may drive.
    assert (tree.buffer, tree.sinks, tree.levels) == ("BUF_X2", 30, (2, 1))
    library = Library.read(TINY)
    [power] = library.cells["BUF_X2"].pins["Y"].powers
    inside = sum(float(table.at(slew=0.1, load=25.0)) for table in power.tables.values())
    pins = 3 * library.cells["BUF_X2"].pins["A"].capacitance
    wire = 1 * 20 * 0.5
    assert tree.energy == pytest.approx(3 * inside + (pins + wire) * 1.0**2)


def test_a_register_alone_needs_no_tree():
    tree = estimate_clock_tree(registers(1), Library.read(TINY), clock="clk")
    assert (tree.levels, tree.energy) == ((), 0.0)


def test_a_library_without_buffers_is_a_named_error(tmp_path):
    text = TINY.read_text().replace('function : "A"', 'function : "A & A"')
    (tmp_path / "bare.lib").write_text(text)
    with pytest.raises(LibertyError, match="no buffer that may drive 30 fF"):
        estimate_clock_tree(registers(30), Library.read(tmp_path / "bare.lib"), clock="clk")
