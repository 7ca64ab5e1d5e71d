"""Energy of latches and of the inverted clock, by hand."""

import itertools
import re

import numpy as np
import pytest

from adq.verif.gate_level.cell_models import cell_models
from adq.verif.gate_level.delays.event_simulation import EventSimulation
from adq.verif.gate_level.power import CLOCK, PowerModel
from adq.verif.gate_level.switching import Switching, SwitchingError
from adq.verif.synthesis.netlist import Instance, Netlist

pytestmark = pytest.mark.testpoint(
    reason="Switching, how it is counted and what it takes: figures about the design."
)

CLK, ENABLE, D, INVERTED, GATED, Q = range(1, 7)
CYCLES = (  # enable, d, q: q is d at the end of a cycle whose enable is high
    (0, 0, 0),
    (1, 1, 1),  # d rose while the latch was closed and held 0; it opened, and q rose
    (1, 1, 1),  # it opened, and nothing changed
    (0, 0, 1),  # d fell while the latch was closed and held 1
    (1, 0, 0),  # it opened, and q fell
)


@pytest.fixture
def netlist() -> Netlist:
    return Netlist(
        name="latch",
        ports={
            "clk": ("input", [CLK]),
            "enable": ("input", [ENABLE]),
            "d": ("input", [D]),
            "q": ("output", [Q]),
        },
        instances=[
            Instance("u1", "INV_X1", {"A": CLK, "Y": INVERTED}, "storage"),
            Instance("u2", "CLKGATE_X1", {"CK": INVERTED, "E": ENABLE, "GCK": GATED}, "storage"),
            Instance("u3", "LATCH_X1", {"D": D, "G": GATED, "Q": Q}, "storage"),
        ],
        names={},
    )


def recording_of(switching: Switching) -> np.ndarray:
    values = np.zeros((len(CYCLES), 32), np.uint8)
    for place, net in enumerate((ENABLE, D, Q)):
        values[:, switching.row[net]] = [cycle[place] for cycle in CYCLES]
    return np.packbits(values, axis=1, bitorder="little")


def test_energy_of_a_latch_is_that_by_hand(netlist, tiny):
    switching = Switching(netlist, tiny, clock="clk")
    counts = switching.count(recording_of(switching), 0, 4)
    energy = PowerModel(switching).energy(counts)
    # Slews: 0.1 ns of ports and clocks. 1 V.
    rises, falls = 2 + 0.5 * 0.1, 3 + 0.5 * 0.1  # q, by the gate
    data = 0.33 + 0.22  # d rises where q is 0, and falls where q is 1
    assert energy.internal == {"storage": pytest.approx(rises + falls + data)}
    # The latch opens in three of four cycles: with d and q alike in one of them, and closes so in
    # all: twice at 1, once at 0.
    latch = 0.7 + 2 * 0.35 + 0.25
    inverter = 4 * 2 * (1 + 0.5 * 0.1)
    gate = 4 * (1.5 + 1.5) + 3 * 2 * (2 + 0.5 * 0.1)
    nets = (8 * 2.5 + 6 * 1.5) / 2  # the inverted clock into the gate, and the gated one; 0.5 fF
    assert energy.clock["storage"] == pytest.approx(latch + inverter + gate + nets)
    assert energy.clock[CLOCK] == pytest.approx(8 * 1.5 / 2)
    assert energy.switching == {"storage": pytest.approx(2 * 1.5 / 2)}
    toggles = dict(zip(switching.nets, counts.toggles.tolist(), strict=True))
    assert (toggles[INVERTED], toggles[GATED], toggles[Q]) == (8, 6, 2)


def test_a_latch_shows_its_data_while_it_is_open(tiny):
    model = cell_models(tiny, ["LATCH_X1"])
    assert re.findall(r"always_latch if \((\w+)\) IQ <= (\w+);", model) == [("G", "D")]
    assert "assign Q = IQ;" in model


@pytest.mark.parametrize(("cell", "pin"), [("LATCH_X1", "G"), ("DFF_X1", "CK")])
def test_a_register_on_the_wrong_clock_is_refused(netlist, tiny, cell, pin):
    clock = CLK if cell == "LATCH_X1" else GATED
    netlist.instances[2] = Instance("u3", cell, {"D": D, pin: clock, "Q": Q}, "storage")
    with pytest.raises(SwitchingError, match=r"u3 is a .* clock, which is not counted"):
        Switching(netlist, tiny, clock="clk")


def test_two_inverters_make_a_rising_clock(netlist, tiny):
    again = 7
    netlist.instances += [
        Instance("u4", "INV_X1", {"A": INVERTED, "Y": again}, "storage"),
        Instance("u5", "DFF_X1", {"D": D, "CK": again, "Q": 8}, "storage"),
    ]
    switching = Switching(netlist, tiny, clock="clk")
    phases = dict(zip(switching.clocks, switching.inverted, strict=True))
    assert phases == {CLK: False, INVERTED: True, GATED: True, again: False}
    values = np.zeros((len(CYCLES), len(switching.nets)), np.uint8)
    for net, bits in zip((ENABLE, D, Q), itertools.count(), strict=False):
        values[:, switching.row[net]] = [cycle[bits] for cycle in CYCLES]
    recording = np.packbits(values, axis=1, bitorder="little")
    ticks = dict(zip(switching.clocks, switching.ticks(recording).tolist(), strict=True))
    assert ticks == {CLK: [1] * 4, INVERTED: [1] * 4, GATED: [1, 1, 0, 1], again: [1] * 4}


def test_glitches_of_latches_are_refused(netlist, tiny, tmp_path):
    power = PowerModel(Switching(netlist, tiny, clock="clk"))
    with pytest.raises(SwitchingError, match="only if its weights are in flip-flops"):
        EventSimulation(power, period=2.0, cache=tmp_path)
