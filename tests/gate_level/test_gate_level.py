"""Energy at gate level: by hand of three cells, and of a tile in a library of round numbers."""

import itertools
import re

import numpy as np
import pytest

from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.cell_events import cell_events
from adq.verif.gate_level.cell_models import CellModelError, cell_models
from adq.verif.gate_level.power import CLOCK, PowerModel
from adq.verif.gate_level.simulated_netlist import RECORDING
from adq.verif.gate_level.switching import Switching, SwitchingError, read_recording
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.liberty.functions import truth_table
from adq.verif.liberty.library import LibertyError, Library
from adq.verif.operands.jobs import random_job, streams_of
from adq.verif.simulation.harness.bare import play_bare
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.netlist import Instance, Netlist
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Switching, how it is counted and what it takes: figures about the design."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)
SEED = 5


# A clock gate, the flip-flop behind it, and a gate that the flip-flop and its data meet in.
CLK, ENABLE, A, GATED, Q, Y = range(1, 7)
CYCLES = (  # enable, a, q, y
    (1, 1, 0, 1),
    (0, 1, 1, 0),  # the clock ticked: q rose, and y fell for it
    (0, 0, 1, 1),  # a fell, and y rose for it
    (1, 0, 1, 1),
    (1, 0, 0, 1),  # the clock ticked: q fell, which y does not see
)


@pytest.fixture
def netlist() -> Netlist:
    return Netlist(
        name="three",
        ports={
            "clk": ("input", [CLK]),
            "enable": ("input", [ENABLE]),
            "a": ("input", [A]),
            "y": ("output", [Y]),
        },
        instances=[
            Instance("u1", "CLKGATE_X1", {"CK": CLK, "E": ENABLE, "GCK": GATED}, "storage"),
            Instance("u2", "DFF_X1", {"D": A, "CK": GATED, "Q": Q}, "storage"),
            Instance("u3", "NAND2_X1", {"A": Q, "B": A, "Y": Y}, "control"),
        ],
        names={"gated": [GATED], "q": [Q]},
    )


def recording_of(switching: Switching) -> np.ndarray:
    """The cycles above, as a simulation leaves them."""
    values = np.zeros((len(CYCLES), 32), np.uint8)
    for place, net in enumerate((ENABLE, A, Q, Y)):
        values[:, switching.row[net]] = [cycle[place] for cycle in CYCLES]
    return np.packbits(values, axis=1, bitorder="little")


def test_energy_of_three_cells_is_that_by_hand(netlist, tiny):
    switching = Switching(netlist, tiny, clock="clk")
    energy = PowerModel(switching).energy(switching.count(recording_of(switching), 0, 4))
    # Slews: 0.1 ns of ports and the clock; of q 0.01 + 0.02 * 1.5 fF = 0.04 ns. 1 V.
    assert energy.internal == {
        "storage": pytest.approx(2 * 4.05),  # q toggles twice
        "control": pytest.approx((1.5 + 0.5 * 0.04) + (1.5 + 0.5 * 0.1)),  # y: by q, then by a
    }
    gate = 4 * (1.5 + 1.5) + 2 * (2.05 + 2.05)  # its clock pin every cycle, its output twice
    flip_flop = 2 * (1.0 + 1.0)
    gated_net = 4 * 1.5 / 2  # a clock pin and 0.5 fF of wire, up and down in two cycles
    assert energy.clock["storage"] == pytest.approx(gate + flip_flop + gated_net)
    assert energy.clock[CLOCK] == pytest.approx(8 * 2.5 / 2)
    assert energy.switching == {
        "storage": pytest.approx(2 * 1.5 / 2),  # q
        "control": pytest.approx(2 * 1.5 / 2),  # y, into a flip-flop outside
    }
    assert energy.outside == pytest.approx(1 * 3.0 / 2 + 2 * 1.5 / 2)  # a, and enable
    assert energy.leakage == pytest.approx(5 + 8 + 2)
    parts = (energy.internal, energy.switching, energy.clock)
    assert energy.total == pytest.approx(sum(sum(part.values()) for part in parts))


def test_counts_of_a_part_and_the_rest_add_up(netlist, tiny):
    switching = Switching(netlist, tiny, clock="clk")
    recording = recording_of(switching)
    whole = switching.count(recording, 0, 4)
    parts = switching.count_spans(recording, [(0, 1), (1, 4)])
    assert parts.cycles == whole.cycles == 4
    assert (parts.toggles == whole.toggles).all()
    assert (parts.ones == whole.ones).all()


@pytest.mark.parametrize("edges", [(0, 5), (2, 2), (-1, 3)])
def test_edges_beyond_the_recording_are_refused(netlist, tiny, edges):
    switching = Switching(netlist, tiny, clock="clk")
    with pytest.raises(SwitchingError, match="are not among the 4 of the recording"):
        switching.count(recording_of(switching), *edges)


def test_a_recording_that_broke_off_is_refused(tmp_path):
    path = tmp_path / RECORDING
    path.write_bytes(b"\0" * 11)
    with pytest.raises(SwitchingError, match=r"nets\.bin: 11 bytes are not two or more cycles"):
        read_recording(path, 40)


def test_a_clock_of_no_clock_gate_is_refused(netlist, tiny):
    netlist.instances[1].pins["CK"] = A
    with pytest.raises(SwitchingError, match="u2 has a clock that is no clock gate's"):
        Switching(netlist, tiny, clock="clk")


def test_an_output_that_toggles_takes_one_arc_in_all(tiny):
    """Shares of arcs add up to one in every change in which an output toggles, and to none in the
    others.
    """
    cell = tiny.cells["FA_X1"]
    events = cell_events(cell)
    changes = np.arange(events.changes)
    states = [(changes >> shift) & 7 for shift in (0, 3)]
    for pin in cell.outputs:
        table = truth_table(pin.function, list(events.inputs))
        before, after = ((table >> state) & 1 for state in states)
        weights = sum(e.weights for e in events.events if e.output_pin == pin.name)
        assert weights == pytest.approx((before != after).astype(float))


def test_a_flip_flop_may_keep_its_state_by_an_enable(tmp_path):
    text = TINY.read_text().replace(
        'next_state : "D"; }',
        'next_state : "(D&DE) | (IQ&!DE)"; } pin (DE) { direction : input; capacitance : 1; }',
    )
    (tmp_path / "enable.lib").write_text(text)
    model = cell_models(Library.read(tmp_path / "enable.lib"), ["DFF_X1"])
    [(clock, following)] = re.findall(r"always @\(posedge (\w+)\) IQ <= (.*);", model)
    assert clock == "CK"
    for d, de, state in itertools.product((0, 1), repeat=3):
        values = {"D": d, "DE": de, "IQ": state}
        assert eval(following.replace("1'b1", "1"), values) == (d if de else state)


def test_cells_without_a_function_are_refused(tiny):
    pin = tiny.cells["NAND2_X1"].pins["Y"]
    object.__setattr__(pin, "function", "")
    try:
        with pytest.raises(CellModelError, match="cell NAND2_X1: pin Y has no function"):
            cell_models(tiny, ["NAND2_X1"])
    finally:
        object.__setattr__(pin, "function", "!(A & B)")
    with pytest.raises(CellModelError, match="has no cell AND9"):
        cell_models(tiny, ["AND9"])


def test_a_library_without_internal_power_is_refused(tmp_path):
    text = re.sub(r"internal_power \(\) \{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "", TINY.read_text())
    (tmp_path / "still.lib").write_text(text)
    with pytest.raises(LibertyError, match=r"still\.lib: no internal_power in "):
        GateLevelTile(SMALL, Library.read(tmp_path / "still.lib"), cache=tmp_path)


def job_of(weight_bits: int, activation_bits: int, density: float, vectors: int = 12):
    return random_job(
        SMALL,
        np.random.default_rng([SEED, weight_bits]),
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        signed=False,
        vectors=vectors,
        density=density,
    )


def test_every_net_is_what_its_cell_makes_of_its_inputs(tile, tmp_path):
    """The recording against truth tables: every combinational cell in every cycle."""
    jobs = [job_of(4, 3, 0.6)]
    play_bare(tile.model, streams_of(SMALL, jobs), directory=tmp_path)
    switching = tile.switching
    recording = read_recording(tmp_path / RECORDING, len(switching.nets) + 2)
    bits = np.unpackbits(recording, axis=1, bitorder="little")
    values = {net: bits[:, row] for net, row in switching.row.items() if isinstance(net, int)}
    values |= {"0": np.zeros(len(bits), int), "1": np.ones(len(bits), int)}
    checked = 0
    for instance in tile.netlist.instances:
        cell = tile.library.cells[instance.cell]
        if cell.sequential:
            continue
        inputs = [pin.name for pin in cell.inputs]
        index = sum(values[instance.pins[name]].astype(int) << i for i, name in enumerate(inputs))
        for pin in cell.outputs:
            table = truth_table(pin.function, inputs)
            expected = np.array([table >> i & 1 for i in range(2 ** len(inputs))])[index]
            assert (values[instance.pins[pin.name]] == expected).all(), instance
            checked += 1
    assert checked > 1000


def test_no_enable_is_high_while_its_stage_is_off(tile, tmp_path):
    """A clock gate in front of others lets through every edge that one of them would."""
    jobs = [job_of(bits, 4, 0.5) for bits in (2, 16, 8)]
    play_bare(tile.model, streams_of(SMALL, jobs), directory=tmp_path)
    switching = tile.switching
    recording = read_recording(tmp_path / RECORDING, len(switching.nets) + 2)
    bits = np.unpackbits(recording, axis=1, bitorder="little")
    staged = 0
    for gate, enables in enumerate(switching.enables):
        if gate in switching.parents:
            continue  # a stage, in front of others: what it lets through is theirs
        own = bits[:, list(enables)].any(axis=1) if enables else None
        stage = switching.parents[gate]
        while stage > 0:
            staged += 1
            assert not (own & ~bits[:, list(switching.enables[stage])].any(axis=1)).any()
            stage = switching.parents[stage]
    assert staged >= 6


def test_zeros_switch_nothing_in_the_array(tile, tmp_path):
    run = tile.run([job_of(8, 4, 0.0)], directory=tmp_path)
    compute = run.energy["compute"]
    assert compute.cycles >= 12
    for block in ("AND plane", "column adders"):
        assert compute.block(block) == 0, block
    toggles = run.counts["compute"].toggles
    for bank in range(SMALL.banks):
        lines = tile.netlist.names[f"weight_array.row_lines_{bank}"]
        assert not toggles[[tile.switching.row[net] for net in lines]].any()
    assert run.energy["load"].block("storage") > 0


def test_energy_grows_with_bits_and_density(tile, tmp_path):
    def spent(weight_bits, activation_bits, density):
        job = job_of(weight_bits, activation_bits, density)
        outputs = SMALL.outputs(weight_bits)
        return tile.run([job], directory=tmp_path).energy["compute"].total / outputs

    by_weights = [spent(bits, 4, 0.5) for bits in (2, 4, 8, 16)]
    by_activations = [spent(8, bits, 0.5) for bits in (2, 4, 8, 16)]
    by_density = [spent(8, 4, density) for density in (0.0, 0.3, 0.6, 1.0)]
    for energies in (by_weights, by_activations, by_density):
        assert energies == sorted(energies)
        assert len(set(energies)) == 4


def test_a_netlist_that_computes_something_else_is_refused(tile, tmp_path, monkeypatch):
    job = job_of(8, 4, 0.5)
    other = job_of(8, 4, 0.5)
    other.weights[0, 0, 0] ^= 1
    monkeypatch.setattr(
        "adq.verif.gate_level.tile.streams_of", lambda p, jobs: streams_of(p, [other])
    )
    with pytest.raises(SimulationError, match="results of job 0 of the mapped tile"):
        tile.run([job], directory=tmp_path)
