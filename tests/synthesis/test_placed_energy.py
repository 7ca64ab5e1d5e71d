"""Figures of placed tiles: steps add up, and kept files are read as they were written."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from adq.energy.coefficients import EnergyError
from adq.energy.gate_level import placed_figures
from adq.energy.gate_level.placed_figures import (
    Layout,
    PlacedFigures,
    PlacedStep,
    placed_at,
    placed_notes,
)
from adq.layout.activity import activity_weights
from adq.layout.placed_energy_table import layout_rows, placed_rows, summary
from adq.layout.placed_tile import clock_tree_cells
from adq.layout.recordings import carried_over, columns_of
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.switching import Switching
from adq.verif.liberty.library import Library
from adq.verif.simulation.simulator import SimulationError
from adq.verif.synthesis.netlist import Instance, Netlist
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="Placement: figures about the design, which no promise rests on."
)

LIBERTY = ROOT / "tests" / "liberty"


def figures(delayed=None) -> PlacedFigures:
    step = PlacedStep(
        weight_bits=2,
        activation_bits=4,
        wire_load={"storage": 8.0, "fusing": 8.0},
        plain={"storage": 16.0, "fusing": 8.0},
        placed={"storage": 12.0, "fusing": 8.0},
        clock_tree=4.0,
        delayed=delayed,
        partial_sums=16.0,
    )
    layouts = {
        "wire load": Layout({"storage": 10.0, "fusing": 5.0}, 1.5, 0.9),
        "plain": Layout({"storage": 10.0, "fusing": 5.0}, 2.5, 3.0, 400.0, -0.1, 3, 7, 0.4, 0.2),
        "placed": Layout({"storage": 10.0, "fusing": 6.0}, 1.9, 2.0, 500.0, 0.1, 0, 9, 0.5, 0.3),
    }
    return PlacedFigures(
        library="none", library_sha256="", netlist_sha256="", voltage=1.0, temperature=25.0,
        period_ns=2.0, seed=1, activity=True, utilization=0.7, layouts=layouts, figures=(step,),
        tile=TileParameters(rows=2, columns=16, row_blocks=1, partial_sums=0),
    )  # fmt: skip


def test_steps_by_hand():
    found = figures(delayed={"storage": 20.0, "fusing": 12.0}).figures[0].steps
    # 8 bit products a MAC.
    assert list(found.values()) == [2.0, 3.0, 2.5, 3.0, 4.5, 6.5]
    without = figures().figures[0].steps
    assert [*without.values()][4:] == [None, None]
    assert len(placed_rows(figures())) == 4


def test_weights_follow_activity_and_are_bounded():
    """Means are 2 and 20; a net of 1 toggles in both has a half and a twentieth of them."""
    runs = [{1: 1, 2: 3, 3: 2}, {1: 1, 2: 0, 3: 59}]
    weights = activity_weights(runs)
    assert weights[1] == pytest.approx(1 + 8 * (0.5 + 0.05) / 2)
    assert weights[2] == pytest.approx(1 + 8 * 1.5 / 2)
    assert weights[3] == pytest.approx(1 + 8 * (1.0 + 2.95) / 2)
    assert activity_weights([{1: 0, **dict.fromkeys(range(2, 100), 0), 100: 9}])[100] == 41
    assert activity_weights([{1: 0}]) == {1: 1.0}


def test_tables_tell_what_was_measured():
    assert "as mapped x1.50, resized x1.25" in summary(figures())
    assert "64,000 bit cells" in summary(figures())
    # 32 bit cells are 4 MACs of 2x4 bits a cycle: 8 operations in 2 ns on 500e-6 mm2.
    assert "at 500 MHz, all bit cells in use, two operations a MAC, 8.00 at 2x4" in summary(
        figures()
    )
    rows = {row[0]: row[1:] for row in layout_rows(figures())}
    assert rows["longest path, ns"] == ["1.500", "2.500", "1.900"]
    assert rows["hold violations"] == ["", "3", "0"]


def test_a_recording_is_carried_over_to_other_buffers():
    """Net 3 behind an inverter, as mapped through a buffer, as placed through two others."""
    library = Library.read(LIBERTY / "tiny.lib")
    ports = {"clk": ("input", [1]), "a": ("input", [2]), "y": ("output", [9])}
    first = Instance("i", "INV_X1", {"A": 2, "Y": 3})
    last = {"A": 4, "Y": 9}
    buffer = Instance("b", "BUF_X1", {"A": 3, "Y": 4})
    mapped = Netlist("logic", ports, [first, buffer, Instance("j", "INV_X1", last)], {})
    more = [Instance("c", "BUF_X1", {"A": 4, "Y": 12}), Instance("j", "INV_X1", last | {"A": 12})]
    placed = Netlist("logic", ports, [first, buffer, *more], {})
    nets = Switching(mapped, library, clock="clk").nets
    switching = Switching(placed, library, clock="clk")
    columns = columns_of(mapped, nets, switching)
    values = {1: [0, 0], 2: [0, 1], 3: [1, 0], 4: [1, 0], 9: [0, 1]}
    recording = np.packbits(np.array([values[n] for n in nets]).T, axis=1, bitorder="little")
    found = np.unpackbits(carried_over(recording, columns), axis=1, bitorder="little")
    expected = values | {12: [1, 0]}
    assert found[:, : len(switching.nets)].T.tolist() == [expected[net] for net in switching.nets]
    other = Netlist("logic", ports, [first, buffer, Instance("j", "INV_X1", last | {"A": 2})], {})
    with pytest.raises(SimulationError, match="not the mapped one with other buffers"):
        columns_of(mapped, nets, Switching(other, library, clock="clk"))


def test_a_tree_takes_its_energy_when_its_clock_ticks():
    """The root in each of 10 cycles, 5 fJ each; a clock behind cell 2 three times, 2 fJ each."""
    design = SimpleNamespace(clock=SimpleNamespace(energies={7: 5.0, 9: 2.0}))
    power = SimpleNamespace(
        switching=SimpleNamespace(row={7: 1, 9: 0}), driver=np.array([2, -1]), blocks=["x"] * 4
    )
    gated, root = clock_tree_cells(design, power, SimpleNamespace(toggles=np.array([6, 20])))
    assert (gated.tolist(), root) == ([0, 0, 3 * 2, 0], 10 * 5)


def test_kept_factors_are_those_of_the_arithmetic_and_the_nearest_size(tmp_path, monkeypatch):
    """4.5 fJ with glitches and 2.0 by the wire load model; other figures lie beside them."""
    monkeypatch.setattr("adq.energy.gate_level.placed_figures.FOLDER", tmp_path)
    near = figures(delayed={"storage": 20.0, "fusing": 12.0})
    others = {"far": {"rows": 512}, "ripple": {"arithmetic": "ripple_carry"}}
    for name, change in {"near": {}, **others}.items():
        found = replace(near, tile=replace(near.tile, **change))
        (tmp_path / f"none-{name}.json").write_text(json.dumps(found.to_json()))
    wanted = TileParameters(rows=4, columns=16)
    assert placed_at("none", wanted) == near
    [line] = placed_notes("none", wanted)
    assert line.endswith("measured on 2x16, half of the words zero: x2.25 at 2x4 bits.")
    monkeypatch.setattr(placed_figures, "libraries", lambda: ["none", "none-placed"])
    [line] = placed_notes("none", wanted)
    assert line.endswith("Of a network: `adq energy --library none-placed`.")
    assert placed_at("other", wanted) is None
    assert placed_notes("other", wanted) == []


def test_kept_figures_are_read_as_written(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(figures().to_json()))
    assert PlacedFigures.read(path) == figures()
    other = json.dumps(figures().to_json() | {"format": 0})
    for text, told in (
        ("{}", "has format None, not 1: write it with `adq dev placed-energy`"),
        ("no json", "is no file of a placed tile"),
        (other, "has format 0, not 1"),
        ('{"format": 1}', "is no file of a placed tile, or damaged"),
    ):
        path.write_text(text)
        with pytest.raises(EnergyError, match=told):
            PlacedFigures.read(path)
