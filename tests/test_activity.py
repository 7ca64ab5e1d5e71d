"""Counters of switching, on designs that can be counted by hand."""

import json
import re
from collections import Counter

import pytest

from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.cocotb.activity.design import CountedCounter
from adq.verif.simulation.activity import BLOCKS, CountedDesign, count_activity, flatten
from adq.verif.simulation.simulator import SimulationError, build

PORTS = ("clk", "rst", "enable", "switching")


@pytest.fixture(scope="module")
def design() -> CountedDesign:
    return count_activity(CountedCounter(), name="counter")


def test_a_net_with_three_names_is_counted_once(design):
    assert design.bits == {"column adders": 4}
    assert design.registers == {"column adders": 4}


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
def model(design, tmp_path_factory):
    cache = tmp_path_factory.mktemp("models")
    return build(cache, top="counter", ports=PORTS, sources={"counter.v": design.verilog})


def test_counts_in_simulation_equal_those_by_hand(design, model, tmp_path):
    outcome = model.run(
        "adq.verif.cocotb.activity.test_activity",
        directory=tmp_path,
        environment={"ADQ_BLOCKS": json.dumps(design.blocks)},
    )
    assert outcome == (1, 0), (tmp_path / "sim.log").read_text()


def test_a_module_without_tests_is_no_success(model, tmp_path):
    with pytest.raises(SimulationError, match=r"verif\.cocotb\.activity\.design .*sim\.log"):
        model.run("adq.verif.cocotb.activity.design", directory=tmp_path)


def test_a_broken_design_leaves_a_log_and_no_model(tmp_path):
    with pytest.raises(SimulationError, match=r"could not build counter .*build\.log"):
        build(tmp_path, top="counter", ports=(), sources={"counter.v": "module counter(; end"})
    assert (tmp_path / "counter-failed" / "build.log").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["counter-failed"]


def test_values_unpack_in_the_order_of_the_blocks():
    blocks = ("storage", "feeder")
    counted = CountedDesign(verilog="", blocks=blocks, bits={}, registers={}, named=0)
    assert counted.switching_width == 256
    value = 1 | 2 << 64 | 3 << 128 | 4 << 192
    assert counted.counts(value) == {
        "storage": {"toggles": 1, "clocked": 3},
        "feeder": {"toggles": 2, "clocked": 4},
    }


def test_every_name_belongs_to_a_block():
    assert list(BLOCKS)[-1] == "control"
    assert BLOCKS["control"] == ""
