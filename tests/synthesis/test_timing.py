"""Static timing against arithmetic by hand, on cells whose tables are linear."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from adq.verif.liberty.cells import WireLoad
from adq.verif.liberty.library import Library
from adq.verif.synthesis.mapping import yosys
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.paths import longest_paths, worst_by_block
from adq.verif.synthesis.sizing import buffer_nets, drive_strengths, size_cells
from adq.verif.synthesis.timing import TimingError, TimingGraph
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(TINY)


def netlist(instances, **ports) -> Netlist:
    """A netlist of (name, cell, pins); ports are given with a direction and nets."""
    made = [Instance(name, cell, pins, block="logic") for name, cell, pins in instances]
    return Netlist("small", ports, made, {"state": [5], "enable": [4]})


def pipeline() -> Netlist:
    """A register, an inverter, a gate with an input, and a register::

    flip_flop -5-> inverter -6-> NAND2 -7-> flip_flop
                             a -3-^
    """
    return netlist(
        [
            ("first", "DFF_X1", {"CK": 2, "D": 3, "Q": 5}),
            ("inverter", "INV_X1", {"A": 5, "Y": 6}),
            ("gate", "NAND2_X1", {"A": 6, "B": 3, "Y": 7}),
            ("second", "DFF_X1", {"CK": 2, "D": 7, "Q": 8}),
        ],
        clk=("input", [2]),
        a=("input", [3]),
        q=("output", [8]),
    )


def test_a_pipeline_by_hand(tiny):
    timing = TimingGraph(pipeline(), tiny, clock_slew=0.1).analyse()
    # Every net but 3 has one pin of 1 fF and half a fF of wire.
    load = 1.5
    clock_rises = 0.055 + 0.1 * 0.1 + 0.01 * load  # Q falls, with a transition of ...
    slew = 0.01 + 0.02 * load
    inverter_rises = clock_rises + 0.010 + 0.1 * slew + 0.01 * load
    gate_falls = inverter_rises + 0.010 + 0.1 * slew + 0.01 * load
    setup = 0.040 + 0.2 * slew
    falls_last = gate_falls + setup
    # The other way round: Q rises, the inverter falls, the gate rises.
    gate_rises = 0.050 + 0.01 + 0.015 + 0.008 + 0.1 * slew + 0.015 + 0.012 + 0.1 * slew + 0.015
    rises_last = gate_rises + 0.030 + 0.2 * slew
    assert timing.delay == pytest.approx(max(falls_last, rises_last))
    [path] = longest_paths(timing)
    assert path.delay == pytest.approx(falls_last)
    assert path.setup == pytest.approx(setup)
    assert (path.start, path.end) == ("state", "q")
    assert [(s.instance, s.edge, s.fanout) for s in path.stages] == [
        ("first", "fall", 1),
        ("inverter", "rise", 1),
        ("gate", "fall", 1),
    ]
    assert [s.arrival for s in path.stages] == pytest.approx(
        [clock_rises, inverter_rises, gate_falls]
    )
    assert [s.load for s in path.stages] == pytest.approx([load] * 3)


def test_a_multiplier_takes_as_long_as_abc_says(tiny, tmp_path):
    """ABC's own timing analysis, of a netlist that it made: no wires, no transitions at inputs."""
    (tmp_path / "multiplier.v").write_text(
        "module multiplier (input [5:0] a, b, output [11:0] y); assign y = a * b; endmodule"
    )
    (tmp_path / "library.lib").write_bytes(tiny.text)
    (tmp_path / "abc.script").write_text("strash; map; topo; stime -d; write_verilog mapped.v\n")
    read = "read_liberty -lib library.lib; read_verilog mapped.v; hierarchy -top netlist"
    yosys(
        tmp_path,
        "read_verilog multiplier.v; synth -flatten; abc -liberty library.lib -script abc.script; "
        f"design -reset; {read}; select netlist; write_json -selected netlist.json",
        "map a multiplier",
    )
    ps = int((tmp_path / "stats.txt").read_text().split()[-1])  # ABC's only file with the delay
    mapped = Netlist.from_json(json.loads((tmp_path / "netlist.json").read_text()))
    library = dataclasses.replace(tiny, wire_load=WireLoad())
    timing = TimingGraph(mapped, library, clock_slew=0, output_load=0).analyse()
    assert len(mapped.instances) > 100
    assert timing.delay * 1000 == pytest.approx(ps, abs=1)


def test_ports_begin_and_end_paths(tiny):
    timing = TimingGraph(pipeline(), tiny, clock_slew=0.1, output_load=4).analyse()
    worst = worst_by_block(timing)
    assert list(worst) == ["logic", "outputs"]
    # A flip-flop that drives the port, and half a fF of wire.
    assert worst["outputs"].delay == pytest.approx(0.055 + 0.01 + 0.01 * 4.5)
    assert worst["outputs"].end == "output q"
    # The input reaches the first register with the clock's slew: all that is left is the setup.
    last = longest_paths(timing, 9)[-1]
    assert (last.start, last.end, last.stages) == ("input a", "state", ())
    assert last.delay == pytest.approx(0.040 + 0.2 * 0.1)


def test_a_gate_of_both_senses_takes_the_later_edge(tiny):
    gates = [
        ("xor", "XOR2_X1", {"A": 3, "B": 6, "Y": 7}),
        ("inverter", "INV_X1", {"A": 3, "Y": 6}),
    ]
    small = netlist(gates, a=("input", [3]), y=("output", [7]))
    timing = TimingGraph(small, tiny, clock_slew=0.1, output_load=1).analyse()
    load = 2.5  # the gate's pin of 2 fF and half a fF of wire
    inverter = 0.010 + 0.1 * 0.1 + 0.01 * load, 0.008 + 0.1 * 0.1 + 0.01 * load
    slew = 0.01 + 0.02 * load
    # Both of its edges follow both of the inverter's.
    rise = max(inverter) + 0.030 + 0.1 * slew + 0.01 * 1.5
    assert timing.delay == pytest.approx(rise)


def test_clock_gates_have_a_setup_time_and_an_ideal_clock(tiny):
    gates = [
        ("first", "DFF_X1", {"CK": 2, "D": 3, "Q": 4}),
        ("gate", "CLKGATE_X1", {"CK": 2, "E": 4, "GCK": 9}),
        ("second", "DFF_X1", {"CK": 9, "D": 3, "Q": 8}),
    ]
    small = netlist(gates, clk=("input", [2]), a=("input", [3]), q=("output", [8]))
    timing = TimingGraph(small, tiny, clock_slew=0.1).analyse()
    [path] = longest_paths(timing)
    assert (path.start, path.setup) == ("enable", pytest.approx(0.060))
    assert path.delay == pytest.approx(0.055 + 0.01 + 0.015 + 0.060)


def test_wires_have_resistance(tiny):
    wire = WireLoad(capacitance=2, resistance=3, slope=1, lengths=((1, 1.0),))
    library = dataclasses.replace(tiny, wire_load=wire)
    inverters = [("first", "INV_X1", {"A": 3, "Y": 4})]
    inverters += [(f"next{i}", "INV_X1", {"A": 4, "Y": 5 + i}) for i in range(2)]
    small = netlist(inverters, a=("input", [3]))
    timing = TimingGraph(small, library, clock_slew=0).analyse()
    # Two pins: length 2, 4 fF of wire and 2 fF of pins; half the resistance sees half of it.
    node = 2 * timing.graph.number[4]
    ps = 3 * (4 + 2) / 2
    assert timing.arrival[node] == pytest.approx(0.010 + 0.01 * 6 + ps * 1e-3)


def test_required_times_are_arrival_times_backwards(tiny):
    timing = TimingGraph(pipeline(), tiny).analyse()
    required = timing.required(timing.delay)
    slack = required - timing.arrival
    assert np.min(slack) == pytest.approx(0)
    [path] = longest_paths(timing)
    for stage in path.stages:
        nets = [
            n for n, bit in enumerate(timing.graph.bits) if stage.net == timing.graph.name_of(n)
        ]
        node = 2 * nets[0] + ("rise", "fall").index(stage.edge)
        assert slack[node] == pytest.approx(0)


def test_loops_and_unknown_cells_are_named(tiny):
    loop = [(f"i{n}", "INV_X1", {"A": 3 + n, "Y": 4 - n}) for n in range(2)]
    with pytest.raises(TimingError, match="2 nets are in or behind a combinational loop"):
        TimingGraph(netlist(loop), tiny)
    with pytest.raises(TimingError, match="the library tiny has no cell INV_X9"):
        TimingGraph(netlist([("i", "INV_X9", {"A": 3, "Y": 4})]), tiny)


def test_drive_strengths_have_the_same_function(tiny):
    strengths = drive_strengths(tiny)
    assert strengths["INV_X2"] == ["INV_X1", "INV_X2", "INV_X4"]
    assert strengths["XOR2_X1"] == ["XOR2_X1"]
    assert strengths["CLKGATE_X1"] == ["CLKGATE_X1", "CLKGATE_X4"]


def fan(count: int) -> Netlist:
    """A register that drives many, the last of which is the start of a longer way."""
    cells = [("first", "DFF_X1", {"CK": 2, "D": 3, "Q": 5})]
    cells += [(f"r{i}", "DFF_X1", {"CK": 2, "D": 5, "Q": 100 + i}) for i in range(count)]
    cells += [("slow0", "INV_X1", {"A": 5, "Y": 6})]
    cells += [(f"slow{i}", "INV_X1", {"A": 5 + i, "Y": 6 + i}) for i in range(1, 30)]
    cells += [("end", "DFF_X1", {"CK": 2, "D": 35, "Q": 36})]
    return netlist(cells, clk=("input", [2]), a=("input", [3]))


def test_buffers_bound_the_fanout_in_groups_as_large_as_each_other(tiny):
    design = fan(300)
    before = TimingGraph(design, tiny).analyse().delay
    buffer_nets(design, tiny)
    graph = TimingGraph(design, tiny)
    clock = graph.number[2]
    assert np.delete(graph.fanout, clock).max() == 12
    assert graph.fanout[clock] == 302
    assert graph.analyse().delay < before
    # Everything that hung on the register still does, behind two buffers: 301 pins take 26 of
    # them, and those three.
    drivers = {i.pins["Y"]: i.pins["A"] for i in design.instances if i.cell == "BUF_X1"}
    assert len(drivers) == 26 + 3
    nets = {i.name: i.pins["D"] for i in design.instances if i.name.startswith("r")}
    nets |= {i.name: i.pins["A"] for i in design.instances if i.name == "slow0"}
    assert {drivers[drivers[net]] for net in nets.values()} == {5}
    groups = Counter(nets.values())
    assert sorted(groups.values()) == [11] * 11 + [12] * 15


def test_pins_about_as_urgent_share_a_buffer(tiny):
    """Two ways of one length among many that end at once: they are behind the same buffer."""
    design = fan(60)
    design.instances += [
        Instance(f"too{i}", "INV_X1", {"A": 5 if i == 0 else 199 + i, "Y": 200 + i}, "logic")
        for i in range(30)
    ]
    design.instances.reverse()
    buffer_nets(design, tiny)
    first = {i.name: i.pins["A"] for i in design.instances if i.name in ("slow0", "too0")}
    assert first["slow0"] == first["too0"] != 5


def test_cells_grow_until_the_period_is_met(tiny):
    def sized(period):
        gates = [("first", "INV_X1", {"A": 3, "Y": 5})]
        gates += [(f"next{i}", "INV_X1", {"A": 5, "Y": 6 + i}) for i in range(12)]
        design = netlist(gates, a=("input", [3]), y=("output", list(range(6, 18))))
        timing = size_cells(design, tiny, period=period)
        return timing.delay, sum(tiny.cells[i.cell].area for i in design.instances)

    slowest, smallest = sized(10)
    fastest, largest = sized(0.01)
    assert fastest < slowest
    assert largest > smallest
    between = (slowest + fastest) / 2
    delay, area = sized(between)
    assert delay <= between
    assert smallest < area <= largest
