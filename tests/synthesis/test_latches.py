"""Weights in latches: which registers become latches, their clocks, timing and proof."""

import copy
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.liberty.library import Library
from adq.verif.signoff.formal.netlist_equivalence import _Miter, prove_netlist
from adq.verif.synthesis.clock.clock_phase import ClockPhases
from adq.verif.synthesis.clock.latches import store_in_latches
from adq.verif.synthesis.mapping import SynthesisError
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.paths import longest_paths
from adq.verif.synthesis.synthesis import Synthesis, synthesize
from adq.verif.synthesis.timing import TimingGraph
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
SMALL = TileParameters(rows=2, columns=16, partial_sums=0, row_blocks=1)
WORDS = SMALL.banks * SMALL.rows


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(TINY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("latches")


@pytest.fixture(scope="module")
def latched(tiny, cache) -> Synthesis:
    return synthesize(Tile(SMALL), tiny, name="tile", latches=True, cache=cache)


@pytest.fixture(scope="module")
def plain(tiny, cache) -> Synthesis:
    return synthesize(Tile(SMALL), tiny, name="tile", cache=cache)


def test_weights_and_nothing_else_are_latches(latched, plain, tiny):
    assert latched.latches
    assert not plain.latches
    assert latched.cells["LATCH_X1"] == WORDS * SMALL.columns
    assert latched.cells["DFF_X1"] == plain.cells["DFF_X1"] - WORDS * SMALL.columns
    for instance in latched.netlist.instances:
        if instance.cell == "LATCH_X1":
            assert re.match(r"weight_array\.weights_", latched.netlist.name_of(instance.pins["Q"]))
    saved = WORDS * SMALL.columns * (tiny.cells["DFF_X1"].area - tiny.cells["LATCH_X1"].area)
    added = sum(latched.area.values()) + saved - sum(plain.area.values())
    assert 0 < added < 30  # an inverter of the clock, and a gate that both clocks need


def test_latches_open_while_the_clock_is_low_behind_a_gate_for_each_word(latched, tiny):
    phases = ClockPhases(latched.netlist, tiny)
    clocks: dict[str, set] = {}
    for instance in latched.netlist.instances:
        if instance.cell == "LATCH_X1":
            word = latched.netlist.name_of(instance.pins["Q"]).split("[")[0]
            clocks.setdefault(word, set()).add(instance.pins["G"])
            assert phases.inverted(instance.pins["G"])
        elif instance.cell.startswith("DFF"):
            assert not phases.inverted(instance.pins["CK"])
    assert [len(found) for found in clocks.values()] == [1] * WORDS
    assert len(set.union(*clocks.values())) == WORDS
    words = latched.clock_gating["storage"].words
    assert sum(1 for word in words if "weights_" in word) == WORDS


def test_the_netlist_is_proved_and_faults_of_latches_are_found(latched):
    assert prove_netlist(Tile(SMALL), latched, name="tile").proved

    def differs(change):
        netlist = copy.deepcopy(latched.netlist)
        change(netlist, [i for i in netlist.instances if i.cell == "LATCH_X1"])
        return not prove_netlist(
            Tile(SMALL), Synthesis(netlist, latched.library), name="tile"
        ).proved

    def swap(netlist, latches):
        latches[0].pins["D"], latches[1].pins["D"] = latches[1].pins["D"], latches[0].pins["D"]

    def open_for_ever(netlist, latches):
        gate = next(i for i in netlist.instances if i.pins.get("GCK") == latches[0].pins["G"])
        gate.pins["E"] = "1"

    assert differs(swap)
    assert differs(open_for_ever)


def test_a_word_that_is_multiplied_while_it_is_written_is_a_difference(latched, monkeypatch):
    """Where nothing is known of its own row line, its product may show the new word too early."""
    lines = {
        line: SMALL.rows - 1 - row
        for bank in range(SMALL.banks)
        for row, line in enumerate(latched.netlist.names[f"weight_array.row_lines_{bank}"])
    }
    own = _Miter._row_line

    def of_another_row(miter, net):
        line = own(miter, net)
        bank = next(b for b in latched.netlist.names.values() if line in b and len(b) == SMALL.rows)
        return bank[lines[line]]

    monkeypatch.setattr(_Miter, "_row_line", of_another_row)
    assert not prove_netlist(Tile(SMALL), latched, name="tile").proved


def test_a_latch_on_the_rising_clock_is_refused(latched):
    netlist = copy.deepcopy(latched.netlist)
    latch = next(i for i in netlist.instances if i.cell == "LATCH_X1")
    latch.pins["G"] = netlist.clock_net("clk")
    with pytest.raises(SynthesisError, match="is a latch on a rising clock"):
        prove_netlist(Tile(SMALL), Synthesis(netlist, latched.library), name="tile")


# A flip-flop enables the gate of a latch, on the inverted clock; data comes from a port.
CLK, DATA, ENABLE, INVERTED, GATED, Q = range(1, 7)


def by_hand() -> Netlist:
    return Netlist(
        name="half",
        ports={
            "clk": ("input", [CLK]),
            "data": ("input", [DATA]),
            "q": ("output", [Q]),
        },
        instances=[
            Instance("u1", "DFF_X1", {"D": DATA, "CK": CLK, "Q": ENABLE}, "control"),
            Instance("u2", "INV_X1", {"A": CLK, "Y": INVERTED}, "storage"),
            Instance("u3", "CLKGATE_X1", {"CK": INVERTED, "E": ENABLE, "GCK": GATED}, "storage"),
            Instance("u4", "LATCH_X1", {"D": DATA, "G": GATED, "Q": Q}, "storage"),
        ],
        names={"enable": [ENABLE]},
    )


def test_an_enable_of_the_inverted_clock_has_half_a_cycle(tiny):
    timing = TimingGraph(by_hand(), tiny).analyse()
    paths = {path.end: path for path in longest_paths(timing, 9)}
    # The enable rises 0.05 + 0.1 * 0.1 + 0.01 * 1.5 fF after the edge, 0.04 ns wide; 0.05 setup.
    half = paths["n5"]
    assert half.cycles == 0.5
    assert half.setup == pytest.approx(0.06)  # falling
    rises = half.stages[-1].arrival
    assert half.delay == pytest.approx(2 * (rises + 0.06))
    assert "half a period" in str(half)
    # Data of the latch has the whole cycle, and a latch's own setup time.
    whole = paths["q"]
    assert (whole.cycles, whole.delay) == (1.0, pytest.approx(0.1 * 0.2 + 0.04))
    # Where half a period is all that there is, the period is twice the path.
    required = timing.required(1.0)
    number = timing.graph.number[ENABLE]
    assert required[2 * number + 1] == pytest.approx(0.5 - 0.06)


def test_what_cannot_be_latched_is_named(plain, tmp_path):
    path = tmp_path / "none.lib"
    unusable = "cell (LATCH_X1) { dont_use : true;"
    path.write_text(TINY.read_text().replace("cell (LATCH_X1) {", unusable))
    with pytest.raises(SynthesisError, match=r"none\.lib: no latch with nothing but data"):
        store_in_latches(copy.deepcopy(plain.netlist), Library.read(path))
    path = tmp_path / "ungated.lib"
    path.write_text(TINY.read_text().replace("clock_gating_integrated_cell", "other"))
    with pytest.raises(SynthesisError, match=r"ungated\.lib: .* has no clock gate"):
        store_in_latches(copy.deepcopy(plain.netlist), Library.read(path))


def test_a_part_without_weights_stays_as_it_is(tiny, plain):
    netlist = copy.deepcopy(plain.netlist)
    netlist.names = {}
    netlist = Netlist(netlist.name, netlist.ports, netlist.instances, {})
    before = len(netlist.instances)
    store_in_latches(netlist, tiny)
    assert len(netlist.instances) == before


def test_the_command_maps_to_latches(tmp_path, monkeypatch, cache):
    monkeypatch.setattr("adq.cli.commands.synth.CACHE", cache)
    arguments = ["synth", "--liberty", str(TINY), "--rows", "2", "--columns", "16", "--latches"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "synth.json").read_text())
    assert found["latches"] is True
    assert found["cell_counts"]["LATCH_X1"] == WORDS * SMALL.columns
    refused = CliRunner().invoke(main, [*arguments, "--order-pins", "--platform", "tile1"])
    assert refused.exit_code == 2
    assert "--latches, --order-pins: leave it out" in " ".join(refused.output.split())
