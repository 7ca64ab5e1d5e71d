"""Placed designs: legal positions, wires as long as minimal trees, files that other tools read."""

import dataclasses
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.layout.cross_check import opensta_longest_path
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.liberty.cells import Arc, Table
from adq.verif.liberty.library import Library
from adq.verif.placement.cache import place_cached
from adq.verif.placement.clock.clock_network import ClockNetwork
from adq.verif.placement.clock.hold import hold_slacks, insert_delays
from adq.verif.placement.clock.useful_skew import clock_advance
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.exchange.constraints import to_sdc
from adq.verif.placement.exchange.def_file import to_def, to_lef
from adq.verif.placement.exchange.spef import to_spef
from adq.verif.placement.floorplan import Macro, MacroPin, plan_die
from adq.verif.placement.geometry import Geometry, WireLayer
from adq.verif.placement.placed import PlaceOptions
from adq.verif.placement.placer import (
    Placement,
    netlist_digest,
    place_cells,
    require_placer,
)
from adq.verif.placement.steiner import SteinerTrees, steiner_trees
from adq.verif.placement.wires import CLOCK_TREE, NetTrees, Terminal, extract_wires
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.parasitics import Parasitics
from adq.verif.synthesis.synthesis import synthesize
from adq.verif.synthesis.timing import TimingGraph
from tests.places import ROOT

coloquinte = pytest.importorskip("coloquinte")
kdb = pytest.importorskip("klayout.db")

pytestmark = pytest.mark.testpoint(
    reason="Placement: figures about the design, which no promise rests on."
)

LIBERTY = ROOT / "tests" / "liberty"
NANGATE = Path(os.environ.get("ADQ_LIBERTY", "no such file"))
SMALL = TileParameters(rows=2, columns=16, partial_sums=0, row_blocks=1)
SLOW = PlaceOptions(period=50.0)
"""A period that needs no sizing."""


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(LIBERTY / "tiny.lib")


@pytest.fixture(scope="module")
def geometry(tiny) -> Geometry:
    return Geometry.read(tiny, path=LIBERTY / "tiny_geometry.toml")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("placement")


@pytest.fixture(scope="module")
def netlist(tiny, cache) -> Netlist:
    """Weight storage and row lines of a small tile: flip-flops behind clock gates, and logic."""
    tile = Tile(SMALL)
    return synthesize(
        tile, tiny, name="tile", part="weight_array", cache=cache, period=50.0
    ).netlist


@pytest.fixture(scope="module")
def design(netlist, tiny, geometry, cache):
    return place_cached(netlist, tiny, geometry, clock="clk", cache=cache / "placed", options=SLOW)


def minimal_length(x: list[int], y: list[int]) -> float:
    """Length of a minimal rectilinear Steiner tree, by Dreyfus and Wagner on Hanan's grid."""
    points = [(a, b) for a in sorted(set(x)) for b in sorted(set(y))]
    grid = np.array(points, float)
    distance = np.abs(grid[:, None] - grid[None]).sum(axis=-1)
    ends = [points.index(point) for point in zip(x, y, strict=True)]
    trees = {1 << i: distance[end] for i, end in enumerate(ends[:-1])}
    for subset in range(1, 1 << (len(ends) - 1)):
        if subset not in trees:
            best = np.full(len(points), np.inf)
            part = (subset - 1) & subset
            while part:
                best = np.minimum(best, trees[part] + trees[subset ^ part])
                part = (part - 1) & subset
            trees[subset] = (best[None] + distance).min(axis=1)
    return float(trees[(1 << (len(ends) - 1)) - 1][ends[-1]])


@pytest.mark.parametrize(("pins", "excess"), [(2, 0), (3, 0), (4, 0.001), (5, 0.002), (6, 0.004)])
def test_trees_are_nearly_minimal(pins, excess):
    rng = np.random.default_rng(pins)
    x, y = rng.integers(0, 30, (2, 80, pins))
    found = steiner_trees(x.astype(float), y.astype(float)).length
    least = np.array([minimal_length(*pair) for pair in zip(x.tolist(), y.tolist(), strict=True)])
    assert (found >= least - 1e-9).all()
    assert found.sum() <= least.sum() * (1 + excess) + 1e-9


def test_a_tree_reaches_every_pin_from_its_root():
    rng = np.random.default_rng(7)
    for pins in (1, 2, 9, 20):
        trees = steiner_trees(*rng.uniform(0, 100, (2, 5, pins)))
        assert (trees.parent[:, 0] == -1).all()
        for parent in trees.parent.tolist():
            for pin in range(pins):
                node, steps = pin, 0
                while node > 0:
                    node, steps = parent[node], steps + 1
                    assert steps < 2 * pins
                assert node == 0


def test_delays_of_a_tree_by_hand():
    """A driver, 3 um to a branch, 2 um to a pin of 5 fF and 4 um to one of 7 fF::

    0 ----3---- branch ----2---- 1
                   |
                   4
                   2
    """
    trees = steiner_trees(np.array([[0.0, 5.0, 3.0]]), np.array([[0.0, 0.0, 4.0]]))
    ends = [Terminal(i, "A", 0, 0, load, i == 0) for i, load in enumerate((0.0, 5.0, 7.0))]
    delays = NetTrees([1], [ends], trees).elmore(WireLayer("m", capacitance=0.5, resistance=10.0))
    common = 30 * (0.75 + 0.5 * 6 + 5 + 7)  # ohm * fF, half of the piece's own 1.5 fF
    assert delays[0, 1] == pytest.approx((common + 20 * (0.5 + 5)) * 1e-6)
    assert delays[0, 2] == pytest.approx((common + 40 * (1.0 + 7)) * 1e-6)


def test_cells_are_in_rows_and_not_on_each_other(design, tiny, geometry):
    """Positions, held against areas and the die without the placement's own check."""
    placement, plan = design.placement, design.placement.floorplan
    taken = np.zeros((plan.rows, plan.sites), int)
    for number, instance in enumerate(design.full.instances):
        width = round(tiny.cells[instance.cell].area / 1.0 / 0.5)
        site, row = placement.site[number], placement.row[number]
        assert 0 <= row < plan.rows
        assert 0 <= site <= plan.sites - width
        taken[row, site : site + width] += 1
    assert taken.max() == 1
    assert taken.mean() == pytest.approx(0.7, abs=0.03)


def klayout_boxes(folder: Path, name: str) -> list[tuple[str, kdb.DBox]]:
    """Cell and outline, in um, of each instance of a DEF file, as KLayout reads it."""
    options = kdb.LoadLayoutOptions()
    options.lefdef_config.lef_files = [str(folder / "cells.lef")]
    options.lefdef_config.read_lef_with_def = False
    layout = kdb.Layout()
    layout.read(str(folder / name), options)
    return [(each.cell.name, each.dbbox()) for each in layout.top_cell().each_inst()]


def test_klayout_reads_the_same_positions(design, tiny, tmp_path):
    (tmp_path / "cells.lef").write_text(to_lef(design.full, tiny, design.placement))
    (tmp_path / "tile.def").write_text(to_def(design.full, tiny, design.placement))
    names, boxes = zip(*klayout_boxes(tmp_path, "tile.def"), strict=True)
    placement = design.placement
    expected = sorted(
        (instance.cell, round(float(x), 6), round(float(y), 6))
        for instance, x, y in zip(design.full.instances, placement.x, placement.y, strict=True)
    )
    found = [
        (name, round(b.left, 6), round(b.bottom, 6)) for name, b in zip(names, boxes, strict=True)
    ]
    assert sorted(found) == expected
    covered = kdb.Region(
        [kdb.Box(*(round(v * 1000) for v in (b.left, b.bottom, b.right, b.top))) for b in boxes]
    )
    assert covered.area() == covered.merged().area()
    assert all(b.left % 0.5 == 0 and b.bottom % 1.0 == 0 and b.height() == 1.0 for b in boxes)


def test_spef_has_the_capacitance_of_every_net(design, tiny):
    text = to_spef(design.full, tiny, design.placement)
    totals = {name: float(value) for name, value in re.findall(r"\*D_NET (\S+) (\S+)", text)}
    words = design.full.net_words()
    wires = extract_wires(design.full, tiny, design.placement).capacitance
    assert totals == pytest.approx({words[net]: value for net, value in wires.items()}, rel=1e-4)
    for part in text.split("*D_NET ")[1:]:
        total = float(part.split()[1])
        inside = re.search(r"\*CAP\n(.*?)\*RES", part, re.S)[1]
        pieces = [float(line.split()[2]) for line in inside.splitlines()]
        assert sum(pieces) == pytest.approx(total, rel=1e-3, abs=1e-6)


def test_the_same_seed_gives_the_same_placement(design, netlist, tiny, geometry, tmp_path):
    again = place_cached(netlist, tiny, geometry, clock="clk", cache=tmp_path, options=SLOW)
    assert (again.placement.site == design.placement.site).all()
    assert (again.placement.row == design.placement.row).all()
    assert again.timing.delay == design.timing.delay
    other = dataclasses.replace(design.options, seed=2)
    moved = place_cached(netlist, tiny, geometry, clock="clk", cache=tmp_path, options=other)
    assert (moved.placement.site[:100] != design.placement.site[:100]).any()


def test_a_kept_placement_is_read_as_it_was(design, netlist, tiny, geometry, cache, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("placed again")

    monkeypatch.setattr("adq.verif.placement.cache.place", forbidden)
    again = place_cached(netlist, tiny, geometry, clock="clk", cache=cache / "placed", options=SLOW)
    assert again.full.to_verilog() == design.full.to_verilog()
    assert again.netlist.parasitics == design.netlist.parasitics
    assert again.clock == design.clock


def test_what_is_simulated_is_what_is_on_the_die(design):
    """Both netlists have the same cells and nets, but for the buffers of the clock tree."""
    tree = [i for i in design.full.instances if i.block == CLOCK_TREE]
    outside = [i for i in design.full.instances if i.block != CLOCK_TREE]
    assert [(i.name, i.cell) for i in outside] == [
        (i.name, i.cell) for i in design.netlist.instances
    ]
    assert len(tree) == design.clock.buffers > 0
    before = {i.pins["Y"]: i.pins["A"] for i in tree}
    for one, other in zip(outside, design.netlist.instances, strict=True):
        for pin, net in one.pins.items():
            while net in before:
                net = before[net]
            assert net == other.pins[pin]


def test_the_clock_reaches_registers_when_the_tree_says(design, tiny):
    """Arrival at a flip-flop on the root: the port's wire, and each buffer from its own tables."""
    network = ClockNetwork(design.full, tiny, design.placement, clock="clk")
    times = {
        reached.instance.name: reached.time
        for reached in network.follow(network.root, 0.0, 0.1)
        if reached.cell.sequential == "ff"
    }
    assert times.keys() == design.clock.registers
    assert design.clock.insertion_delay == pytest.approx(np.mean(list(times.values())))
    assert design.clock.skew == pytest.approx(max(times.values()) - min(times.values()))
    # Wires lengthen paths, and so does a clock that comes sooner at their end.
    ideal = dataclasses.replace(design.netlist.parasitics, clock_arrival={}, port_arrival=0.0)
    copy = dataclasses.replace(design.netlist, parasitics=ideal)
    assert TimingGraph(copy, tiny).analyse().delay != design.timing.delay


def chain() -> Netlist:
    """Sixty inverters in a row."""
    inverters = [Instance(f"i{n}", "INV_X1", {"A": n, "Y": n + 1}) for n in range(1, 61)]
    return Netlist("chain", {"a": ("input", [1]), "y": ("output", [61])}, inverters, {})


def memory(name: str, x: float, *, reads: int) -> Macro:
    """A block that reads a net of the chain, and drives nothing."""
    return Macro(name, "memory", x, 3.0, 3.0, 3.0, {"D": MacroPin(reads, 2.0, 1.5, "input")})


def test_a_macro_takes_its_place(tiny, geometry):
    logic, block = chain(), memory("first", 2.0, reads=30)
    plan = plan_die(logic, geometry, utilization=0.6, macros=[block])
    placement = place_cells(logic, plan)
    inside = (
        (placement.x + 1.0 > block.x)
        & (placement.x < block.x + block.width)
        & (placement.y + 1.0 > block.y)
        & (placement.y < block.y + block.height)
    )
    assert not inside.any()
    wires = extract_wires(logic, tiny, placement).capacitance
    without = extract_wires(
        logic, tiny, dataclasses.replace(placement, floorplan=dataclasses.replace(plan, macros=()))
    ).capacitance
    assert wires[30] > without[30]


def test_macros_are_in_all_files(tiny, geometry, tmp_path):
    logic = chain()
    logic.instances[40].pins["A"] = 100  # driven by a macro in place of the inverter before it
    pins = {"Q": MacroPin(100, 0.5, 0.5, "output"), "A": MacroPin(1, 2.5, 2.5, "input")}
    rom = Macro("third", "rom", 5.5, 7.0, 3.0, 3.0, pins)
    macros = [memory("first", 0.5, reads=30), memory("second", 5.0, reads=50), rom]
    plan = plan_die(logic, geometry, utilization=0.6, macros=macros)
    placement = place_cells(logic, plan)

    verilog = logic.to_verilog(macro.instance for macro in macros)
    assert re.findall(r"^  (memory|rom) (.*);$", verilog, re.M) == [
        ("memory", "first (.D(n30))"),
        ("memory", "second (.D(n50))"),
        ("rom", "third (.Q(n100), .A(a))"),
    ]
    spef = to_spef(logic, tiny, placement)
    assert len(re.findall(r"^\*I (?:first:D|second:D|third:A) I$", spef, re.M)) == 3
    assert re.search(r"\*D_NET n100 \S+\n\*CONN\n\*I third:Q O\n\*I i41:A I\n", spef)
    (tmp_path / "cells.lef").write_text(to_lef(logic, tiny, placement))
    (tmp_path / "chain.def").write_text(to_def(logic, tiny, placement))
    found = {name: box for name, box in klayout_boxes(tmp_path, "chain.def") if name == "rom"}
    assert (found["rom"].left, found["rom"].bottom) == (5.5, 7.0)
    assert (found["rom"].width(), found["rom"].height()) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([memory("first", 30.0, reads=30)], "macro first: reaches out of the die"),
        ([memory("i7", 2.0, reads=30)], "macro i7 of kind memory: a net or an instance has"),
        ([memory("one", 2.0, reads=3), memory("two", 4.5, reads=4)], "one and two overlap"),
        ([memory("one", 2.0, reads=3), memory("one", 5.5, reads=4)], "macro one of kind memory"),
        ([memory("one", 2.0, reads=999)], "pin D is on net 999, which the netlist has not"),
        (
            [
                memory("one", 2.0, reads=3),
                dataclasses.replace(memory("two", 5.5, reads=4), width=2.5),
            ],
            "one and two are of kind memory, and differ in size or pins",
        ),
        (
            [dataclasses.replace(memory("one", 2.0, reads=3), width=1.5)],
            "pin D lies outside of it",
        ),
    ],
)
def test_macros_that_cannot_be_placed(geometry, others, message):
    with pytest.raises(PlacementError, match=message):
        plan_die(chain(), geometry, utilization=0.6, macros=others)


def test_a_macro_on_a_driven_net(tiny, geometry):
    block = Macro("one", "rom", 2, 3, 3, 3, {"Q": MacroPin(30, 1, 1, "output")})
    logic = chain()
    placement = place_cells(logic, plan_die(logic, geometry, utilization=0.6, macros=[block]))
    with pytest.raises(PlacementError, match="its output Q is on a net that has a driver already"):
        extract_wires(logic, tiny, placement)


def test_constraints_name_every_input_but_the_clock(design, tiny):
    text = to_sdc(design.full, tiny, clock="clk", period=2, port_delay=0.25)
    inputs = {n for n, (direction, _) in design.full.ports.items() if direction == "input"}
    [delayed] = [line for line in text.splitlines() if "set_input_delay" in line]
    assert {re.sub(r"\[\d+\]", "", name) for name in re.findall(r"\{(\S+?)\}", delayed)} == (
        inputs - {"clk"}
    )
    assert "create_clock -name clk -period 2 " in text


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_wrong_geometries_are_named(tiny, tmp_path):
    good = (LIBERTY / "tiny_geometry.toml").read_text()
    for wrong, message in (
        (good.replace("row_height = 1.0", ""), "row_height must be a number above 0"),
        (good.replace("row_height = 1.0", "row_height = 0.9"), "cells of several heights"),
        (good.replace("[clock]", "[other]"), r"\[clock\] is missing"),
        ("not toml", "no geometry of a library"),
    ):
        with pytest.raises(PlacementError, match=message):
            Geometry.read(tiny, path=write(tmp_path / "geometry.toml", wrong))
    with pytest.raises(PlacementError, match="no row height, site and wires are known"):
        Geometry.read(tiny)


LEF = """
MACRO INV_X1
  SIZE 1.0 BY {height} ;
  PIN A
    PORT
      LAYER m3 ;
        RECT 0.1 0.2 0.3 0.4 ;
    END
  END A
END INV_X1
"""


def test_a_lef_gives_sizes_and_pins(tiny, netlist, tmp_path):
    path = LIBERTY / "tiny_geometry.toml"
    lef = write(tmp_path / "cells.lef", LEF.format(height=1.0))
    found = Geometry.read(tiny, path=path, lef=lef)
    assert found.sites == {"INV_X1": 2}
    assert found.pin_offset("INV_X1", "A") == pytest.approx((0.2, 0.3))
    assert found.pin_offset("INV_X1", "Y") == (0.5, 0.5)
    with pytest.raises(PlacementError, match=r"the LEF file has no size of .* and .* more cells"):
        plan_die(netlist, found, utilization=0.7)
    with pytest.raises(PlacementError, match="cells of several heights"):
        Geometry.read(tiny, path=path, lef=write(tmp_path / "two.lef", LEF.format(height=2.0)))
    with pytest.raises(PlacementError, match="has no MACRO"):
        Geometry.read(tiny, path=path, lef=write(tmp_path / "none.lef", "VERSION 5.8 ;"))


def test_wrong_options_and_placements_are_named(design, netlist, geometry):
    for utilization in (0.0, 0.96, 1.5, float("nan")):
        with pytest.raises(PlacementError, match=r"must be above 0 and at most 0\.95"):
            plan_die(netlist, geometry, utilization=utilization)
    with pytest.raises(PlacementError, match="aspect ratio 0: must be from"):
        plan_die(netlist, geometry, utilization=0.7, aspect=0)
    with pytest.raises(PlacementError, match="is of another netlist"):
        design.placement.check(netlist)
    placement = design.placement
    moved = placement.site.copy()
    moved[0] = -1
    wrong = Placement(placement.floorplan, netlist_digest(design.full), moved, placement.row)
    with pytest.raises(PlacementError, match="outside of the rows"):
        wrong.check(design.full)
    same = np.zeros(len(moved), int)
    with pytest.raises(PlacementError, match="are placed on each other"):
        Placement(placement.floorplan, placement.netlist, same, same).check(design.full)


def test_a_digest_is_of_names_blocks_cells_and_nets():
    def digest(name="n", cell="INV_X1", block="control", net=2, source="one"):
        instance = Instance(name, cell, {"A": 1, "Y": net}, block)
        ports = {"a": ("input", [1])}
        return netlist_digest(Netlist("net", ports, [instance], {source: [1]}))

    assert digest() == digest()
    changes = ({"name": "m"}, {"cell": "INV_X2"}, {"block": "feeder"}, {"net": 3}, {"source": "b"})
    assert len({digest(), *(digest(**change) for change in changes)}) == 1 + len(changes)


def test_a_missing_placer_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "coloquinte", None)
    with pytest.raises(ModuleNotFoundError):
        require_placer()
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(
        PlacementError, match=r"no wheel for this Python: use Python 3\.11 and 3\.12"
    ):
        require_placer()


def test_trees_of_no_nets_are_none():
    assert isinstance(steiner_trees(np.zeros((0, 3)), np.zeros((0, 3))), SteinerTrees)


def test_the_command_writes_all_files_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["place", "--rows", "2", "--columns", "16", "--liberty", str(LIBERTY / "tiny.lib")]
    runner = CliRunner()
    result = runner.invoke(main, arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--geometry FILE" in result.stderr
    known = [*arguments, "--geometry", str(LIBERTY / "tiny_geometry.toml"), "--out", "placed"]
    known += ["--period", "50", "--effort", "1"]
    result = runner.invoke(main, [*known, "--utilization", "1.2"])
    assert result.exit_code == 2
    assert not list(tmp_path.glob("placed/*"))
    result = runner.invoke(main, known)
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "placed").iterdir()}
    assert names == {
        "cells.lef", "die.svg", "placement.json", "tile.def", "tile.sdc", "tile.spef", "tile.v",
    }  # fmt: skip
    assert "longest path, placed" in result.output


@pytest.mark.skipif(not NANGATE.exists(), reason="ADQ_LIBERTY names no library")
def test_a_tile_of_16x16_closes_at_500_mhz(cache):
    library = Library.read(NANGATE)
    parameters = TileParameters(rows=16, columns=16, partial_sums=0, row_blocks=1)
    mapped = synthesize(Tile(parameters), library, name="tile", cache=cache)
    options = PlaceOptions(period=2.0)
    found = place_cached(
        mapped.netlist, library, Geometry.read(library), clock="clk", cache=cache, options=options
    )
    assert mapped.timing.delay < found.timing.delay <= 2.0
    assert found.holds[0].slack > 0
    # The wire load model has 0.92 fF.
    assert 1.2 < found.mean_wire < 1.8


def test_long_paths_start_sooner_and_end_later(tiny):
    """Three flip-flops in a row: 0.4 ns of slack before the middle one, none behind it::

    a -> first --inverter--> middle --12 inverters--> last --inverter--> q
    """
    stages = [Instance("first", "DFF_X1", {"CK": 2, "D": 3, "Q": 10})]
    stages += [Instance("i0", "INV_X1", {"A": 10, "Y": 11})]
    stages += [Instance("middle", "DFF_X1", {"CK": 2, "D": 11, "Q": 20})]
    stages += [Instance(f"l{n}", "INV_X1", {"A": 20 + n, "Y": 21 + n}) for n in range(12)]
    stages += [Instance("last", "DFF_X1", {"CK": 2, "D": 32, "Q": 40})]
    ports = {"clk": ("input", [2]), "a": ("input", [3]), "q": ("output", [40])}
    logic = Netlist("chain", ports, stages, {})
    timing = TimingGraph(logic, tiny).analyse()
    [middle] = [n for n, i in enumerate(stages) if i.name == "middle"]
    short = float(timing.path_delays[timing.end_owners == middle].max())
    period = timing.delay - 0.1
    advance = clock_advance(timing, period)
    assert advance == pytest.approx({"middle": 0.1, "last": -0.1})
    assert short < 0.5 * period
    # Asked for twice, it adds up; where nothing is too long, nothing moves.
    assert clock_advance(timing, period, advance) == pytest.approx({"middle": 0.2, "last": -0.2})
    assert clock_advance(timing, timing.delay + 0.01) == {}
    # A clock that comes as asked shortens the path by both.
    wires = dict.fromkeys(logic.nets(), 0.5)
    arrival = {"first": 0.1, "middle": 0.0, "last": 0.2}
    logic.parasitics = Parasitics(wires, {}, arrival, clock_slew=0.1, port_arrival=0.1)
    ideal = dataclasses.replace(logic, parasitics=Parasitics(wires, {}, {}, clock_slew=0.1))
    [moved, before] = [TimingGraph(n, tiny).analyse() for n in (logic, ideal)]
    ends = before.end_owners == len(stages) - 1
    assert moved.path_delays[ends] == pytest.approx(before.path_delays[ends] - 0.2)


@pytest.fixture
def holding(tiny) -> Library:
    """Cells whose flip-flops want data to stay for 0.02 ns."""
    library = dataclasses.replace(tiny, cells=dict(tiny.cells))
    pins = dict(tiny.cells["DFF_X1"].pins)
    constraint = Table((), (), np.array(0.02))
    hold = Arc(
        "CK", "hold_rising", "", "", {f"{e}_constraint": constraint for e in ("rise", "fall")}
    )
    pins["D"] = dataclasses.replace(pins["D"], arcs=(*pins["D"].arcs, hold))
    library.cells["DFF_X1"] = dataclasses.replace(tiny.cells["DFF_X1"], pins=pins)
    return library


@pytest.fixture
def pair() -> Netlist:
    """A flip-flop right behind another, whose clock comes 0.3 ns later."""
    stages = [
        Instance("one", "DFF_X1", {"CK": 2, "D": 3, "Q": 4}),
        Instance("two", "DFF_X1", {"CK": 2, "D": 4, "Q": 5}),
    ]
    ports = {"clk": ("input", [2]), "a": ("input", [3]), "q": ("output", [5])}
    logic = Netlist("pair", ports, stages, {})
    logic.parasitics = Parasitics({4: 2.0}, {}, {"one": 0.0, "two": 0.3}, clock_slew=0.1)
    return logic


def test_hold_slack_by_hand(holding, pair):
    [found] = hold_slacks(TimingGraph(pair, holding).analyse())
    # Q rises first: 0.05, a tenth of the slew of 0.1, and 0.01 for each of 2 fF and a pin of 1 fF.
    assert found.instance == 1
    assert found.slack == pytest.approx(0.05 + 0.01 + 0.03 - 0.3 - 0.02)


def test_delay_buffers_mend_hold_slack_as_far_as_setup_allows(holding, pair, geometry):
    placement = place_cells(pair, plan_die(pair, geometry, utilization=0.4))
    timing = TimingGraph(pair, holding).analyse()
    # No time to spare at the pin: nothing is inserted.
    setup = float(timing.path_delays[timing.end_owners == 1].max())
    x, _ = insert_delays(pair, holding, placement, timing, period=setup)
    assert (x.size, len(pair.instances)) == (0, 2)
    x, y = insert_delays(pair, holding, placement, timing, period=5.0)
    assert x.size == y.size == len(pair.instances) - 2 > 1
    [after] = hold_slacks(TimingGraph(pair, holding).analyse())
    assert after.slack > 0
    # A chain from the first flip-flop to the second, and nothing else.
    net = 4
    for instance in pair.instances[2:]:
        assert (instance.cell, instance.pins["A"]) == ("BUF_X1", net)
        net = instance.pins["Y"]
    assert pair.instances[1].pins["D"] == net
    assert (
        insert_delays(pair, holding, placement, TimingGraph(pair, holding).analyse(), 5.0)[0].size
        == 0
    )


def test_a_library_without_buffers_mends_no_hold_slack(holding, pair, geometry):
    placement = place_cells(pair, plan_die(pair, geometry, utilization=0.4))
    cells = {name: cell for name, cell in holding.cells.items() if not name.startswith("BUF")}
    without = dataclasses.replace(holding, cells=cells)
    timing = TimingGraph(pair, without).analyse()
    assert insert_delays(pair, without, placement, timing, period=5.0)[0].size == 0


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not on this machine")
def test_opensta_finds_the_same_longest_path(design, tmp_path):
    """From the Verilog, SPEF and SDC, the clock propagated through its tree."""
    path = opensta_longest_path(design, clock="clk", directory=tmp_path)
    assert path == pytest.approx(design.timing.delay, rel=0.03)
