"""Synthesis in parts: joined, they compute what the RTL does, and no path is lost."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from adq.rtl.parameters import TileParameters
from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.rtl.pim_tile.weight_array import WeightArray
from adq.rtl.shift_add.fuser import Fuser
from adq.rtl.shift_add.shift_add import ShiftAdd
from adq.rtl.tile import Tile
from adq.verif.liberty.library import Library
from adq.verif.simulation.switching.activity import BLOCKS
from adq.verif.synthesis.hierarchy.hierarchy import synthesize_parts
from adq.verif.synthesis.hierarchy.linking import link
from adq.verif.synthesis.hierarchy.parts import Part, cut
from adq.verif.synthesis.paths import worst_by_block
from adq.verif.synthesis.sizing import buffer_nets, size_cells
from adq.verif.synthesis.synthesis import synthesize
from tests.places import ROOT
from tests.synthesis.netlist_simulator import NetlistSimulator, rtl_trace

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
TILE = TileParameters(rows=2, columns=16, partial_sums=0, row_blocks=1)
KINDS = (WeightArray, ColumnCounter, ShiftAdd, Fuser)
SLOW = 1000.0
"""ns; with it, no path asks for larger cells."""


@pytest.fixture(scope="module")
def tiny() -> Library:
    return Library.read(TINY)


@pytest.fixture(scope="module")
def whole() -> Part:
    return cut(Tile(TILE), KINDS, name="tile")


@pytest.fixture(scope="module")
def netlists(whole, tiny):
    return {
        path: synthesize(
            part.source,
            tiny,
            name=part.name,
            apart=list(part.parts),
            objective="speed",
            prefix=f"{path}." if path else "",
            period=SLOW,
        ).netlist
        for path, part in whole.places()
    }


def test_joined_netlists_compute_what_the_rtl_does(netlists, tiny):
    assert list(netlists) == [
        *("", "weight_array", "column_counter", "shift_add", "shift_add.fuser")
    ]
    seed = random.randrange(2**32)
    trace = rtl_trace(Tile(TILE), 400, seed)
    taken = sum(outputs["results__valid"] & inputs["results__ready"] for inputs, outputs in trace)
    assert taken > 20, f"seed {seed}: too few results to tell"
    simulator = NetlistSimulator(link(netlists, "tile"), tiny)
    simulator.cycle(dict.fromkeys(trace[0][0], 0) | {"rst": 1})
    for number, (inputs, outputs) in enumerate(trace):
        assert simulator.cycle(inputs | {"rst": 0}) == outputs, f"seed {seed}, cycle {number}"


def test_no_path_and_no_cell_is_lost(whole, netlists, tiny):
    joined = link(netlists, "tile")
    buffer_nets(joined, tiny)
    timing = size_cells(joined, tiny, period=SLOW, grow_only=True)
    found = synthesize_parts(whole, tiny, blocks=BLOCKS, period=SLOW)
    expected = {block: path.delay for block, path in worst_by_block(timing).items()}
    delays = {block: found.paths[block].delay for block in expected}
    assert delays == pytest.approx(expected)
    assert found.longest_path.delay == pytest.approx(timing.delay)
    assert found.cells == len(joined.instances)
    assert sum(found.area.values()) == pytest.approx(
        sum(tiny.cells[cell].area for cell in timing.cells)
    )
    assert sum(found.flip_flops.values()) == sum(
        tiny.cells[cell].sequential == "ff" for cell in timing.cells
    )


class Sinks(wiring.Component):
    """Registers that one input leads to."""

    def __init__(self):
        super().__init__({"shared": In(1), "own": In(11), "kept": Out(11)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.kept.eq(self.own & self.shared.replicate(11))
        return m


class Source(wiring.Component):
    """A gate behind registers, which drives a part."""

    def __init__(self):
        super().__init__({"given": In(2), "own": In(11), "kept": Out(11)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sinks = sinks = Sinks()
        held = Signal(2)
        m.d.sync += held.eq(self.given)
        m.d.comb += [
            sinks.shared.eq(~held.all()),
            sinks.own.eq(self.own),
            self.kept.eq(sinks.kept),
        ]
        return m


def test_cells_grow_where_a_path_between_parts_misses_the_period(tiny):
    whole = cut(Source(), [Sinks], name="source")
    slow = synthesize_parts(whole, tiny, blocks={"all": ""}, period=SLOW)
    # Each part alone is faster than that.
    fast = synthesize_parts(whole, tiny, blocks={"all": ""}, period=0.95 * slow.longest_path.delay)
    assert fast.longest_path.delay < slow.longest_path.delay
    assert fast.area["all"] > slow.area["all"]
    assert (fast.cells, fast.flip_flops) == (slow.cells, {"all": 2 + 11})
