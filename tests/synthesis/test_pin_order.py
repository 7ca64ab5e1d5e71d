"""Order of inputs: late nets on fast pins, and outputs as before."""

import itertools
import re

import pytest

from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import Library
from adq.verif.synthesis.netlist import Instance, Netlist
from adq.verif.synthesis.pin_order import input_orders, order_inputs
from adq.verif.synthesis.sizing import size_cells
from adq.verif.synthesis.timing import TimingGraph
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Mapping to cells and timing: figures about the design, which no promise rests on."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
LATE = 9
"""Net behind the inverters of ``chain``."""

FAST = 0.02
"""ns from an adder's input CI without slew and load; from A and B it takes 0.04 to 0.06."""


@pytest.fixture(scope="module")
def uneven(tmp_path_factory) -> Library:
    """A library whose full adder is faster from CI than from its other inputs."""
    before, adder = TINY.read_text().split("cell (FA_X1)")
    adder, *behind = re.split(r"(?=\n  cell \()", adder, maxsplit=1)
    arcs = re.split(r'(?=related_pin : "CI")', adder)
    delays = re.compile(r"(cell_\w+ \(delay\) \{ values \(\")0\.0[456]\d*")
    faster = [arcs[0]]
    for arc in arcs[1:]:  # the delays that follow right behind: rising and falling
        power = arc.startswith('related_pin : "CI";\n        rise_power')
        faster.append(arc if power else delays.sub(rf"\g<1>{FAST}", arc, count=2))
    path = tmp_path_factory.mktemp("uneven") / "uneven.lib"
    path.write_text(before + "cell (FA_X1)" + "".join(faster) + "".join(behind))
    return Library.read(path)


def chain(late: str) -> Netlist:
    """A full adder between flip-flops, one of whose inputs comes through five inverters."""
    clk, a, b, c, *wires, total, carry = range(1, 12)
    early = [pin for pin in ("A", "B", "CI") if pin != late]
    flip_flops = [
        Instance(f"f{net}", "DFF_X1", {"D": net + 20, "CK": clk, "Q": net}, "block")
        for net in (a, b, c)
    ]
    inverters = [
        Instance(f"i{y}", "INV_X1", {"A": x, "Y": y}, "block")
        for x, y in itertools.pairwise([a, *wires])
    ]
    adder = Instance(
        "adder", "FA_X1", {late: wires[-1], early[0]: b, early[1]: c, "S": total, "CO": carry}
    )
    return Netlist(
        name="chain",
        ports={
            "clk": ("input", [clk]),
            "d": ("input", [a + 20, b + 20, c + 20]),
            "s": ("output", [total]),
            "co": ("output", [carry]),
        },
        instances=[*flip_flops, *inverters, adder],
        names={},
    )


@pytest.mark.parametrize("late", ["A", "B", "CI"])
def test_the_late_net_goes_to_the_fast_pin(uneven, late):
    netlist = chain(late)
    before = TimingGraph(netlist, uneven).analyse().delay
    after = order_inputs(netlist, uneven)
    adder = netlist.instances[-1].pins
    assert adder["CI"] == LATE
    assert {adder["A"], adder["B"]} == {3, 4}
    assert after.delay == TimingGraph(netlist, uneven).analyse().delay
    meant = TimingGraph(chain("CI"), uneven).analyse().delay
    assert after.delay == pytest.approx(meant)
    assert (before > meant + 0.02) == (late != "CI")


def test_sizing_orders_inputs_only_where_cells_alone_are_too_slow(uneven):
    slow = TimingGraph(chain("A"), uneven).analyse().delay
    enough, short = chain("A"), chain("A")
    size_cells(enough, uneven, period=slow, order=True)
    assert enough.instances[-1].pins["A"] == LATE
    size_cells(short, uneven, period=slow / 10, order=False)
    assert short.instances[-1].pins["A"] == LATE
    size_cells(short, uneven, period=slow / 10, order=True)
    assert short.instances[-1].pins["CI"] == LATE


def test_orders_leave_every_output_as_it_is():
    library = Library.read(TINY)
    counts = {}
    for name in ("FA_X1", "NAND2_X1", "OAI21_X1", "MUX2_X1", "INV_X1", "DFF_X1"):
        if name not in library.cells:
            continue
        cell = library.cells[name]
        orders = input_orders(cell)
        counts[name] = len(orders)
        names = [pin.name for pin in cell.inputs]
        for order, pin in itertools.product(orders, cell.outputs):
            moved = [names[place] for place in order]
            assert truth_table(pin.function, moved) == truth_table(pin.function, names)
    assert counts["FA_X1"] == 5
    assert counts["NAND2_X1"] == 1
    assert counts["INV_X1"] == counts["DFF_X1"] == 0
