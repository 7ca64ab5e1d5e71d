"""Counters of switching, on designs that can be counted by hand."""

import re
from collections import Counter

import pytest

from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.cocotb.activity.design import CountedCounter
from adq.verif.simulation.simulator import SimulationError, build
from adq.verif.simulation.switching.activity import BLOCKS, CountedDesign, count_activity, flatten
from adq.verif.simulation.switching.net_classes import ClassCounts, NetClass, named_nets, stem
from tests.places import MODELS

pytestmark = pytest.mark.testpoint("switching.counted")

PORTS = ("clk", "rst", "enable", "switching")


@pytest.fixture(scope="module")
def design() -> CountedDesign:
    return count_activity(CountedCounter(), name="counter")


def test_a_net_with_three_names_is_counted_once(design):
    assert design.bits == {"column adders": 4}
    assert design.registers == {"column adders": 4}
    assert len(design.classes) == len(design.register_classes) == 1


def counted_nets(verilog: str, netlist: dict) -> Counter:
    """How often each net is compared with its value a cycle ago, read from the counters' text."""
    nets = Counter()
    for expression in re.findall(r"before_\d+ <= (.*);", verilog):
        for name, last, first in re.findall(r"\\(\S+) (?:\[(\d+):(\d+)\])?", expression):
            bits = netlist["netnames"][name]["bits"]
            nets.update(bits[int(first) : int(last) + 1] if last else bits)
    return nets


def test_every_named_net_of_a_tile_is_counted_once():
    parameters = TileParameters(rows=3, columns=16, row_blocks=2, partial_sums=2)
    tile = count_activity(Tile(parameters), name="tile")
    netlist, _ = flatten(Tile(parameters), "tile")
    inputs = {
        bit
        for port in netlist["ports"].values()
        if port["direction"] == "input"
        for bit in port["bits"]
    }
    named = {
        bit
        for net in netlist["netnames"].values()
        if not net["hide_name"]
        for bit in net["bits"]
        if isinstance(bit, int)
    }
    counted = counted_nets(tile.verilog, netlist)
    assert set(counted) == named - inputs
    assert set(counted.values()) == {1}
    assert sum(tile.bits.values()) == len(counted)


@pytest.fixture(scope="module")
def model(design):
    return build(MODELS, top="counter", ports=PORTS, sources={"counter.v": design.verilog})


def test_counts_in_simulation_equal_those_by_hand(design, model, tmp_path):
    outcome = model.run("adq.verif.cocotb.activity.test_activity", directory=tmp_path)
    assert outcome == (1, 0), (tmp_path / "sim.log").read_text()


def test_a_module_without_tests_is_no_success(model, tmp_path):
    with pytest.raises(SimulationError, match=r"verif\.cocotb\.activity\.design .*sim\.log"):
        model.run("adq.verif.cocotb.activity.design", directory=tmp_path)


def test_a_broken_design_leaves_a_log_and_no_model(tmp_path):
    with pytest.raises(SimulationError, match=r"could not build counter .*build\.log"):
        build(tmp_path, top="counter", ports=(), sources={"counter.v": "module counter(; end"})
    assert (tmp_path / "counter-failed" / "build.log").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["counter-failed"]


def test_values_unpack_in_the_order_of_the_classes():
    total, word = NetClass("collector", "total"), NetClass("storage", "weights")
    counted = CountedDesign(
        verilog="",
        classes=(total, word),
        register_classes=(word,),
        bits={},
        registers={},
        named=0,
    )
    assert counted.switching_width == 256
    counts = counted.counts(1 | 2 << 64 | 3 << 128 | 4 << 192)
    assert counts == ClassCounts({total: 1, word: 2}, {word: 3}, {word: 4})
    assert counts.blocks == {
        "collector": {"toggles": 1, "clocked": 0},
        "storage": {"toggles": 2, "clocked": 3},
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shift_add.fuser.fuse_4_0_sum", "fuse_sum"),
        ("column_counter.count0110_2_carry", "count_carry"),
        ("shift_add.accumulator_16.add_12a_1_carry", "add_carry"),
        ("weight_array.weights_0_3", "weights"),
        ("weight_array.products[3]", "products"),
        ("shift_add.totals.4", "totals"),
        ("shift_add.tag$53.weight_bits", "weight_bits"),
        ("counters.total$1", "total"),
        ("row_lines_0", "row_lines"),
    ],
)
def test_a_class_is_a_name_without_its_indices(name, expected):
    assert stem(name) == expected


def test_a_net_has_the_class_of_its_first_name_and_of_its_first_block():
    names = ["control", "shift_add.fuser.port$1", "shift_add.fuser.zeta", "feeder.a"]
    found = dict(named_nets(dict.fromkeys(names, ())))
    assert list(found) == ["shift_add.fuser.zeta", "shift_add.fuser.port$1", "feeder.a", "control"]
    assert found["shift_add.fuser.zeta"] == NetClass("fusing", "zeta")


def test_every_name_belongs_to_a_block():
    assert list(BLOCKS)[-1] == "control"
    assert BLOCKS["control"] == ""
