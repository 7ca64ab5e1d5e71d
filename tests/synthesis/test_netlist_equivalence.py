"""Netlist against RTL: a small tile is proved, and planted faults are found."""

import copy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.liberty.library import Library
from adq.verif.signoff.formal.netlist_equivalence import Verdict, prove_netlist
from adq.verif.synthesis.synthesis import Synthesis, synthesize
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="A mapped netlist beside its RTL: sign-off of the mapping."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("equivalence")


@pytest.fixture(scope="module")
def synthesis(cache) -> Synthesis:
    return synthesize(Tile(SMALL), Library.read(TINY), name="tile", cache=cache / "synthesis")


def faulty(synthesis: Synthesis, change) -> Synthesis:
    netlist = copy.deepcopy(synthesis.netlist)
    change(netlist)
    return Synthesis(netlist, synthesis.library)


def first(netlist, cell: str, block: str):
    return next(i for i in netlist.instances if i.cell.startswith(cell) and i.block == block)


def test_a_mapped_tile_is_proved(synthesis):
    found = prove_netlist(Tile(SMALL), synthesis, name="tile")
    assert found.proved
    registers = sum(i.cell.startswith("DFF") for i in synthesis.netlist.instances)
    outputs = sum(
        len(nets) for direction, nets in synthesis.netlist.ports.values() if direction == "output"
    )
    assert len(found.comparisons) == registers + outputs
    assert found.count(Verdict.EQUAL)["storage"] > 3 * 16


def test_a_gate_of_another_function_is_found(synthesis):
    def change(netlist):
        gate = first(netlist, "NAND2", "control")
        gate.cell = gate.cell.replace("NAND2", "NOR2")

    found = prove_netlist(Tile(SMALL), faulty(synthesis, change), name="tile")
    assert not found.proved
    assert found.count(Verdict.DIFFERS)


def test_a_clock_gate_that_stays_open_is_found(synthesis):
    """Results of runs with the same weights throughout would be the same."""

    def change(netlist):
        first(netlist, "CLKGATE", "storage").pins["E"] = "1"

    found = prove_netlist(Tile(SMALL), faulty(synthesis, change), name="tile")
    assert set(found.count(Verdict.DIFFERS)) == {"storage"}


def test_swapped_inputs_of_an_adder_are_no_fault(synthesis):
    def change(netlist):
        pins = first(netlist, "FA_X1", "column adders").pins
        pins["A"], pins["B"] = pins["B"], pins["A"]

    assert prove_netlist(Tile(SMALL), faulty(synthesis, change), name="tile").proved


@pytest.mark.slow
def test_flip_flops_with_an_enable_are_compared(tmp_path):
    """Registers of too few bits for a clock gate have them, where the library does."""
    text = TINY.read_text()
    start = text.index("cell (DFF_X1)")
    plain = text[start : text.index("cell (LATCH_X1)")]
    pin = "pin (E) { direction : input; capacitance : 1; }"
    enabled = plain.replace("DFF_X1", "DFFE_X1").replace(
        'next_state : "D"; }', f'next_state : "(D&E) | (IQ&!E)"; }} {pin}'
    )
    path = tmp_path / "enabled.lib"
    path.write_text(text.replace(plain, plain + enabled))
    mapped = synthesize(Tile(SMALL), Library.read(path), name="tile")
    assert mapped.cells["DFFE_X1"] > 3
    assert prove_netlist(Tile(SMALL), mapped, name="tile").proved

    def change(netlist):
        first(netlist, "DFFE", "control").pins["E"] = "1"

    assert not prove_netlist(Tile(SMALL), faulty(mapped, change), name="tile").proved


def test_the_command_tells_blocks_and_time(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("adq.cli.dev.equivalence.CACHE", cache / "models")
    arguments = ["dev", "equivalence", "--liberty", str(TINY), "--rows", "3", "--columns", "16"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "found.json")])
    assert result.exit_code == 0, result.output
    assert "column adders" not in result.output  # they hold no register and drive no port
    assert "s of processor time" in result.output
