"""Simulation with delays: glitches by hand, and a tile's by Icarus Verilog."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.coefficients import EnergyError
from adq.energy.glitches import (
    GlitchFactors,
    GlitchFigure,
    glitch_factors,
    glitch_notes,
    kept_factors,
)
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.delays.event_simulation import EventSimulation
from adq.verif.gate_level.delays.glitches import glitch_energy
from adq.verif.gate_level.delays.icarus import icarus_toggles, icarus_version
from adq.verif.gate_level.power import PowerModel
from adq.verif.gate_level.switching import Switching
from adq.verif.liberty.library import Library
from adq.verif.operands.jobs import random_job
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.netlist import Instance, Netlist
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="The tile in a library's cells: what it takes, not what it computes."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)
SEED = 7

CLK, A, Y, Q = 1, 2, 3, 4


def hazard(inverters: int) -> Netlist:
    """A gate that meets a signal and, behind some inverters, its complement; y is always 1::

    a --+-- inverters --+
        |               +-- NAND2 -- y -- DFF -- q
        +---------------+
    """
    chain = [A, *range(10, 10 + inverters)]
    cells = [
        Instance(f"u{place}", "INV_X1", {"A": chain[place], "Y": chain[place + 1]}, "feeder")
        for place in range(inverters)
    ]
    cells += [
        Instance("gate", "NAND2_X1", {"A": A, "B": chain[-1], "Y": Y}, "fusing"),
        Instance("register", "DFF_X1", {"CK": CLK, "D": Y, "Q": Q}, "control"),
    ]
    ports = {"clk": ("input", [CLK]), "a": ("input", [A]), "q": ("output", [Q])}
    return Netlist("hazard", ports, cells, {"y": [Y]})


def simulation_of(netlist: Netlist, library: Library, *, period: float = 2.0) -> EventSimulation:
    power = PowerModel(Switching(netlist, library, clock="clk"))
    return EventSimulation(power, period=period, cache=Path("build/models"))


def recording_of(simulation: EventSimulation, values: list[int], *, y: int = 1) -> np.ndarray:
    """Cycles in which a has these values, as a simulation without delays leaves them."""
    row = simulation.switching.row
    inverters = sum(
        instance.cell == "INV_X1" for instance in simulation.switching.netlist.instances
    )
    bits = np.zeros((len(values), 32), np.uint8)
    for cycle, value in enumerate(values):
        bits[cycle, row[A]] = value
        bits[cycle, row[Y]] = bits[cycle, row[Q]] = y
        for place in range(inverters):
            bits[cycle, row[10 + place]] = value ^ (place + 1) % 2
    return np.packbits(bits, axis=1, bitorder="little")


def test_a_hazard_takes_what_arithmetic_says(tiny):
    simulation = simulation_of(hazard(3), tiny)
    recording = recording_of(simulation, [0, 1])
    counts = simulation.count(recording, [(0, 1)])
    assert counts.toggles[simulation.switching.row[Y]] == 2
    # Loads of 1.5 fF, slews of 0.04 ns but for a's, 0.1; up to 1 ps more for each of the arcs.
    chain = (0.008 + 0.010 + 0.015) + (0.010 + 0.004 + 0.015) + (0.008 + 0.004 + 0.015)
    rises = chain + 0.012 + 0.004 + 0.015
    assert counts.settled_ns == pytest.approx(rises, abs=0.005)
    energy = glitch_energy(simulation, recording, [(0, 1)])
    inside = (1.5 + 0.5 * 0.1) + (1.5 + 0.5 * 0.04)  # y falls by a, and rises by the inverters
    assert energy.delayed["fusing"] == pytest.approx(inside + 2 * 1.5 / 2)
    assert energy.zero_delay.get("fusing", 0.0) == 0
    assert energy.delayed["feeder"] == pytest.approx(energy.zero_delay["feeder"])
    assert energy.toggles_delayed == energy.toggles_zero_delay + 2


def test_a_signal_that_falls_makes_no_glitch(tiny):
    simulation = simulation_of(hazard(3), tiny)
    counts = simulation.count(recording_of(simulation, [1, 0]), [(0, 1)])
    assert counts.toggles[simulation.switching.row[Y]] == 0


def test_a_pulse_narrower_than_the_delay_does_not_pass(tiny):
    """The inverter falls after 0.033 ns, when the gate's output has not yet fallen, at 0.035."""
    simulation = simulation_of(hazard(1), tiny)
    counts = simulation.count(recording_of(simulation, [0, 1]), [(0, 1)])
    assert counts.toggles[simulation.switching.row[Y]] == 0


def test_data_pins_take_their_glitches(tiny, tmp_path):
    """Both toggles come while the clock is high."""
    power = "".join(
        f'internal_power () {{ when : "{when}"; rise_power (scalar) {{ values ("{energy}"); }} '
        f'fall_power (scalar) {{ values ("{energy}"); }} }}'
        for when, energy in (("CK", 0.3), ("!CK", 0.7))
    )
    head, flip_flop = TINY.read_text().split("cell (DFF_X1)")
    flip_flop = flip_flop.replace("pin (D) {", f"pin (D) {{ {power}", 1)
    (tmp_path / "data.lib").write_text(f"{head}cell (DFF_X1){flip_flop}")
    simulation = simulation_of(hazard(3), Library.read(tmp_path / "data.lib"))
    energy = glitch_energy(simulation, recording_of(simulation, [0, 1]), [(0, 1)])
    assert energy.delayed["control"] == pytest.approx(energy.zero_delay["control"] + 2 * 0.3)


def test_a_cycle_that_ends_otherwise_is_an_error(tiny):
    simulation = simulation_of(hazard(3), tiny)
    recording = recording_of(simulation, [0, 1])
    wrong = recording_of(simulation, [0, 1], y=0)
    recording[1] = wrong[1]
    with pytest.raises(SimulationError, match="with delays, net y ends cycle 1 with another value"):
        simulation.count(recording, [(0, 1)])


def test_a_net_that_moves_past_the_period_is_an_error(tiny):
    simulation = simulation_of(hazard(3), tiny, period=0.1)
    with pytest.raises(SimulationError, match=r"nets move until 0\.12\d ns"):
        simulation.count(recording_of(simulation, [0, 1]), [(0, 1)])


needs_icarus = pytest.mark.skipif(icarus_version() is None, reason="needs iverilog")


@pytest.mark.slow
@needs_icarus
def test_icarus_counts_the_same_toggles_of_every_net(tile, tmp_path):
    simulation = EventSimulation(tile.power, period=tile.period, cache=tmp_path)
    rng = np.random.default_rng(SEED)
    jobs = [
        random_job(SMALL, rng, weight_bits=bits, activation_bits=4, signed=True, vectors=8)
        for bits in SMALL.weight_widths
    ]
    recording = tile.record(jobs, directory=tmp_path)
    spans = [(4, len(recording) - 1)]
    counts = simulation.count(recording, spans)
    others = icarus_toggles(
        tile.switching, recording, first=4, period=tile.period, directory=tmp_path
    )
    assert (counts.toggles == others).all()
    glitchy = simulation.switching.count_spans(recording, spans).toggles
    glitchy[[tile.switching.row[net] for net in tile.switching.clocks]] = 0
    assert counts.toggles.sum() > 1.05 * glitchy.sum()


@pytest.mark.slow
def test_the_command_writes_what_it_prints(tile, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("adq.cli.dev.glitches.CACHE", cache / "models")
    arguments = ["dev", "glitches", "--liberty", str(TINY), "--rows", "3", "--columns", "16"]
    arguments += ["--bits", "2,8", "--name", "small", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    factors = GlitchFactors.read(tmp_path / "small-3x16.json")
    assert [figure.weight_bits for figure in factors.figures] == [2, 8]
    for figure in factors.figures:
        assert figure.factor > 1
        assert f"x{figure.factor:.2f}" in result.output
    assert f"{factors.ratio(delayed=True):.1f}x with them" in result.output


def test_bits_that_the_tile_has_not_are_an_error(tmp_path):
    arguments = ["dev", "glitches", "--liberty", str(TINY), "--bits", "2,3"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "--bits 2,3: 3 must be one of 2, 4, 8, 16" in result.output


def figure_of(bits: int, zero: float, delayed: float) -> GlitchFigure:
    return GlitchFigure(bits, bits, {"fusing": zero}, {"fusing": delayed}, 10, 12, 5, 1.0)


def test_factors_by_hand():
    factors = GlitchFactors(
        *("lib", "0", "0", 1.1, 25.0, 2.0, 4, 16, "ripple_carry"),
        figures=(figure_of(2, 30.0, 45.0), figure_of(16, 1200.0, 1500.0)),
    )
    assert factors.at(2, 2).factor == 1.5
    assert factors.at(16, 16).factor == 1.25
    assert factors.at(4, 4) is None
    assert factors.nearest(2, 4).weight_bits == 2
    assert factors.nearest(8, 16).weight_bits == 16
    assert factors.ratio(delayed=False) == pytest.approx(40.0)
    assert factors.ratio(delayed=True) == pytest.approx(1500 / 45)


def test_damaged_factors_are_a_named_error(tmp_path):
    path = tmp_path / "lib-4x16.json"
    path.write_text(json.dumps({"format": 1, "figures": []}))
    with pytest.raises(EnergyError, match=r"lib-4x16\.json: is no file of glitch factors"):
        GlitchFactors.read(path)
    path.write_text(json.dumps({"format": 0}))
    with pytest.raises(EnergyError, match="has format"):
        GlitchFactors.read(path)


def test_kept_factors_were_confirmed_net_by_net():
    confirmed = [each for each in kept_factors() if each.icarus]
    assert {(each.rows, each.columns, each.arithmetic) for each in confirmed} >= {
        (16, 16, "ripple_carry"),
        (16, 16, "three_greedy"),
        (64, 64, "ripple_carry"),
    }
    for factors in confirmed:
        assert [figure.weight_bits for figure in factors.figures] == [2, 4, 8, 16]
        for figure in factors.figures:
            assert figure.confirmed_nets
            assert figure.differing_nets == 0


def test_factors_are_those_of_the_arithmetic_and_the_nearest_size():
    other = TileParameters(rows=256, columns=64, arithmetic="ripple_carry")
    near = glitch_factors("nangate45", other)
    assert (near.rows, near.arithmetic) == (64, "ripple_carry")
    near = glitch_factors("nangate45", TileParameters(rows=256, columns=64))
    assert (near.rows, near.arithmetic) == (256, "three_greedy")
    nearest = glitch_factors("nangate45", TileParameters(rows=64, columns=96))
    assert (nearest.rows, nearest.columns) == (64, 64)
    assert glitch_factors("nowhere", SMALL) is None


def test_glitches_stand_beside_energies():
    [line] = glitch_notes("nangate45", TileParameters(rows=64, columns=64))
    factors = glitch_factors("nangate45", TileParameters(rows=64, columns=64))
    assert f"x{factors.at(2, 2).factor:.2f} at 2x2 bits" in line
    assert f"{factors.ratio(delayed=True):.1f}x for {factors.ratio(delayed=False):.1f}x" in line
    assert glitch_notes("nowhere", SMALL) == []
