"""Mapped netlists: they compute what the RTL does, with the cells that they should have."""

import json
import os
import random
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.liberty.library import Library
from adq.verif.simulation.switching.activity import BLOCKS
from adq.verif.synthesis.clock.clock_stages import stage_clock_gates
from adq.verif.synthesis.mapping import MAPPERS, SynthesisError
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.synthesis import size_and_speed, synthesize
from tests.places import ROOT
from tests.synthesis.netlist_simulator import NetlistSimulator, rtl_trace

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
NANGATE = Path(os.environ.get("ADQ_LIBERTY", "no such file"))
SMALL = TileParameters(rows=2, columns=16, partial_sums=2, row_blocks=2)
SHARED_LOAD = TileParameters(rows=33, columns=16, partial_sums=0, row_blocks=1)
"""More rows than beats: two words load in the same cycle."""


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(TINY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("synthesis")


@pytest.fixture(scope="module")
def small(tiny, cache):
    return synthesize(Tile(SMALL), tiny, name="tile", cache=cache)


@pytest.mark.parametrize(
    ("objective", "latches"),
    [
        ("area", False),
        *(pytest.param(each, False, marks=pytest.mark.slow) for each in MAPPERS if each != "area"),
        pytest.param("area", True, marks=pytest.mark.slow),
    ],
)
def test_the_netlist_computes_what_the_rtl_does(small, tiny, objective, latches):
    mapped = small
    if objective != "area" or latches:
        mapped = synthesize(Tile(SMALL), tiny, name="tile", objective=objective, latches=latches)
    assert mapped.latches == latches
    seed = random.randrange(2**32)
    trace = rtl_trace(Tile(SMALL), 400, seed)
    taken = sum(outputs["results__valid"] & inputs["results__ready"] for inputs, outputs in trace)
    assert taken > 20, f"seed {seed}: too few results to tell"
    simulator = NetlistSimulator(mapped.netlist, tiny)
    simulator.cycle(dict.fromkeys(trace[0][0], 0) | {"rst": 1})
    for number, (inputs, outputs) in enumerate(trace):
        assert simulator.cycle(inputs | {"rst": 0}) == outputs, f"seed {seed}, cycle {number}"


COMMON, SELECTS, OTHER, CLOCK, DATA = 3, range(10, 18), 4, 2, 5


def gated(kinds: str) -> Netlist:
    """Flip-flops behind a clock gate each, whose enables are, by kind,

    a: common & select    o: common | select    n: ~common & select    s: select alone
    """
    made = []

    def add(name, cell, **pins):
        made.append(Instance(name, cell, pins, block="storage"))

    add("not_common", "INV_X1", A=COMMON, Y=OTHER)
    for i, kind in enumerate(kinds):
        select, inverse, enable, clock = SELECTS[i], 20 + i, 30 + i, 40 + i
        if kind == "s":
            enable = select
        elif kind == "o":
            add(f"nor{i}", "NOR2_X1", A=COMMON, B=select, Y=inverse)
            add(f"not{i}", "INV_X1", A=inverse, Y=enable)
        else:
            # Neither the cell nor the one behind it has the common signal's own sense.
            first = COMMON if kind == "a" else OTHER
            add(f"nand{i}", "NAND2_X1", A=first, B=select, Y=inverse)
            add(f"not{i}", "INV_X1", A=inverse, Y=enable)
        add(f"gate{i}", "CLKGATE_X1", CK=CLOCK, E=enable, GCK=clock)
        add(f"bit{i}", "DFF_X1", CK=clock, D=DATA, Q=50 + i)
    ports = {
        "clk": ("input", [CLOCK]),
        "common": ("input", [COMMON]),
        "data": ("input", [DATA]),
        "select": ("input", list(SELECTS)[: len(kinds)]),
        "held": ("output", [50 + i for i in range(len(kinds))]),
    }
    return Netlist("gated", ports, made, {})


def staged(netlist: Netlist) -> set[str]:
    """Gates that do not take the clock itself."""
    gates = [i for i in netlist.instances if i.cell.startswith("CLKGATE")]
    return {gate.name for gate in gates if gate.pins["CK"] != CLOCK}


@pytest.mark.parametrize(
    ("kinds", "behind"),
    [
        ("aaaaaa", range(6)),
        ("nnnnnn", range(6)),
        # Whoever may pass while the common signal is low stays where it is.
        ("aasaaaao", (0, 1, 3, 4, 5, 6)),
        ("aaaannnn", ()),  # four of either are too few
        ("aaaaao", ()),
        ("oooooo", ()),
        ("ssssss", ()),
    ],
)
def test_a_stage_is_put_where_all_enables_imply_its_signal(tiny, kinds, behind):
    netlist = gated(kinds)
    gates = len([i for i in netlist.instances if i.cell.startswith("CLKGATE")])
    stage_clock_gates(netlist, tiny)
    assert staged(netlist) == {f"gate{i}" for i in behind}
    now = [i for i in netlist.instances if i.cell.startswith("CLKGATE")]
    assert len(now) == gates + bool(behind)
    if behind:
        [clock] = {i.pins["CK"] for i in now if i.name in staged(netlist)}
        [stage] = [i for i in now if i.pins["GCK"] == clock]
        assert stage.block == "storage"
        assert stage.pins["CK"] == CLOCK


@pytest.mark.parametrize("kinds", ["aaaaaa", "nnnnnn", "aasaaaao"])
def test_behind_a_stage_the_same_is_stored(tiny, kinds):
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    before, after = gated(kinds), gated(kinds)
    stage_clock_gates(after, tiny)
    simulators = [NetlistSimulator(netlist, tiny) for netlist in (before, after)]
    for cycle in range(500):
        inputs = {"clk": 0, "common": rng.randrange(2), "data": rng.randrange(2)}
        inputs["select"] = rng.getrandbits(len(kinds))
        held, held_behind = (simulator.cycle(inputs) for simulator in simulators)
        assert held_behind == held, f"seed {seed}, cycle {cycle}"


def test_every_weight_word_has_one_clock_gate(tiny, cache):
    array = synthesize(
        Tile(SHARED_LOAD), tiny, name="tile", part="weight_array", cache=cache
    ).clock_gating["storage"]
    words = {word: found for word, found in array.words.items() if word.startswith("weights_")}
    assert len(words) == SHARED_LOAD.banks * SHARED_LOAD.rows
    assert all(ungated == 0 and len(clocks) == 1 for clocks, ungated in words.values())
    assert len({clock for clocks, _ in words.values() for clock in clocks}) == len(words)


def test_counting_columns_takes_the_fewest_adders(tiny, cache):
    counter = synthesize(Tile(SHARED_LOAD), tiny, name="tile", part="column_counter", cache=cache)
    rows, columns = SHARED_LOAD.rows, SHARED_LOAD.columns
    # A full adder leaves one bit fewer, a half adder as many: from all rows to the count's bits.
    assert counter.cells["FA_X1"] == columns * (rows - rows.bit_length())
    assert "XOR2_X1" not in counter.cells


def test_areas_by_block_are_the_whole(small, tiny):
    assert sum(small.area.values()) == pytest.approx(
        sum(tiny.cells[cell].area * count for cell, count in small.cells.items())
    )
    found = small.clock_gating.values()
    flip_flops = small.cells["DFF_X1"]
    assert sum(block.gated + block.ungated for block in found) == flip_flops
    gates = small.cells.get("CLKGATE_X1", 0) + small.cells.get("CLKGATE_X4", 0)
    assert sum(block.clock_gates for block in found) == gates
    assert small.clock_gating["storage"].gated >= SMALL.banks * SMALL.rows * SMALL.columns
    assert set(small.area) == set(BLOCKS)


def test_figures_come_from_the_cache(small, tiny, cache):
    before = sorted(cache.iterdir())
    figures = size_and_speed(SMALL, TINY, cache=cache)
    assert sorted(cache.iterdir()) == before
    assert figures.total_area == pytest.approx(sum(small.area.values()))
    assert figures.longest_path == pytest.approx(small.timing.delay)
    assert figures.max_frequency == pytest.approx(1000 / small.timing.delay)
    assert figures.area_per_bit_cell == pytest.approx(figures.total_area / 32)
    assert figures.critical_path.startswith(f"{figures.longest_path:.3f} ns from ")
    [folder] = [d for d in before if "module tile (" in (d / "netlist.v").read_text()[:200]]
    verilog = (folder / "netlist.v").read_text()
    assert verilog.count("DFF_X1 ") == small.cells["DFF_X1"]
    assert "$" not in verilog
    assert "\\" not in verilog


def test_a_library_without_flip_flops_is_named(tmp_path):
    path = tmp_path / "gates.lib"
    path.write_text(TINY.read_text().replace("ff (IQ, IQN)", "other (IQ, IQN)"))
    with pytest.raises(SynthesisError, match=r"gates\.lib: no flip-flop on a rising clock"):
        synthesize(Tile(SMALL), Library.read(path), name="tile")


def synth(out, *options):
    arguments = ["synth", "--liberty", TINY, "--out", out, *options]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_tells_and_writes_the_figures(small, tmp_path, cache, monkeypatch):
    monkeypatch.setattr("adq.cli.commands.synth.CACHE", cache)
    sizes = "".join(f"{name} = {json.dumps(value)}\n" for name, value in asdict(SMALL).items())
    (tmp_path / "small.toml").write_text(f"[tile]\n{sizes}")
    result = synth(tmp_path / "out", "--paths", 3, "--buffer", "--tile", tmp_path / "small.toml")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "synth.json").read_text())
    assert found["area_um2"] == pytest.approx(sum(small.area.values()))
    assert found["longest_path_ns"] == pytest.approx(small.timing.delay)
    assert found["clock_mhz"] == pytest.approx(1000 / small.timing.delay)
    assert found["tile"] == asdict(SMALL)
    assert {name: block["area_um2"] for name, block in found["blocks"].items()} == pytest.approx(
        {"outputs": 0.0} | small.area
    )
    assert [path["delay"] for path in found["paths"]] == sorted(
        (path["delay"] for path in found["paths"]), reverse=True
    )
    assert len(found["paths"]) == 3
    assert found["cell_counts"] == small.cells
    assert f"{found['cells']:,} cells" in result.output
    assert all(block in result.output for block in small.area)
    verilog = (tmp_path / "out" / "netlist.v").read_text()
    assert verilog.count("DFF_X1 ") == small.cells["DFF_X1"]


def test_the_command_names_a_users_mistake(tmp_path, monkeypatch):
    monkeypatch.setenv("ADQ_LIBERTY", str(tmp_path / "none.lib"))
    result = CliRunner().invoke(main, ["synth", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'none.lib'}: cannot read the liberty file")
    assert not (tmp_path / "out").exists()
    result = synth(tmp_path / "out", "--part", "shift_add.fused", "--rows", 2, "--columns", 16)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line == "error: the tile has no submodule shift_add.fused: did you mean shift_add.fuser?"


@pytest.mark.skipif(not NANGATE.exists(), reason="ADQ_LIBERTY names no library")
def test_a_small_tile_at_45_nm():
    figures = size_and_speed(SMALL, NANGATE)
    assert figures.max_frequency > 500
    assert figures.flip_flops["storage"][0] >= 2 * 2 * 16
