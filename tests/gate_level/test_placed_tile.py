"""A placed tile at gate level: its energy by class, window and clock, against other ways to it."""

import copy
import dataclasses

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.gate_level.random_cases import RandomCase
from adq.layout.placed_tile import PlacedTile, placed_tile
from adq.layout.recordings import carried_over
from adq.verif.gate_level.delays.glitches import glitch_energy
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.placement.geometry import Geometry
from tests.places import ROOT

pytest.importorskip("coloquinte")

pytestmark = pytest.mark.testpoint(
    reason="Placement: figures about the design, which no promise rests on."
)

LIBERTY = ROOT / "tests" / "liberty"
SLOW = 50.0
"""ns, a period that needs no sizing."""
SEED = 3


@pytest.fixture(scope="module")
def placed(tile, tiny, cache) -> PlacedTile:
    geometry = Geometry.read(tiny, path=LIBERTY / "tiny_geometry.toml")
    mapped = GateLevelTile(
        tile.parameters, tiny, cache=cache, synthesis=tile.synthesis, period=SLOW
    )
    return placed_tile(mapped, geometry, cache)


@pytest.fixture(scope="module")
def jobs(tile):
    return RandomCase("uniform", 4, 2, 0.5, loads=2, seed=SEED).jobs(tile.parameters)


@pytest.fixture(scope="module")
def run(placed, jobs, tmp_path_factory):
    return placed.run(jobs, directory=tmp_path_factory.mktemp("run"))


def test_classes_take_what_the_windows_take(run):
    by_window = sum(energy.total for energy in run.energy.values())
    assert sum(data + clock for data, clock in run.classes.values()) == pytest.approx(by_window)


def test_energy_is_that_with_delays_and_the_tree_of_every_clock(placed, jobs, run, tmp_path):
    recorded = placed.mapped.record(jobs, directory=tmp_path)
    spans = placed.mapped.windows(recorded)["compute"]
    recording = carried_over(recorded, placed.columns)
    glitches = glitch_energy(placed.simulation, recording, spans)
    ticks = placed.switching.ticks(recording)
    edges = np.concatenate([np.arange(*span) for span in spans])
    tree = sum(
        placed.design.clock.energies.get(clock, 0.0) * ticks[number, edges].sum()
        for number, clock in enumerate(placed.switching.clocks)
    )
    assert tree > 0
    assert sum(glitches.delayed.values()) > sum(glitches.zero_delay.values())
    assert run.energy["compute"].total == pytest.approx(sum(glitches.delayed.values()) + tree)


def test_the_same_jobs_take_more_than_by_the_wire_load_model(placed, jobs, run, tmp_path):
    mapped = placed.mapped.run(jobs, directory=tmp_path)
    assert mapped.classes.keys() == run.classes.keys()
    for window, energy in mapped.energy.items():
        assert energy.total < run.energy[window].total
    assert placed.area > placed.mapped.area
    assert placed.digest != placed.mapped.digest


def test_runs_belong_to_the_library_and_the_wires_too(placed):
    """Other energies of the same netlist must not be taken for runs that are there."""
    mapped = copy.copy(placed.mapped)
    mapped.library = dataclasses.replace(mapped.library, digest="another")
    assert mapped.netlist_sha256 == placed.mapped.netlist_sha256
    assert mapped.digest != placed.mapped.digest
    plan = placed.design.placement.floorplan
    geometry = dataclasses.replace(plan.geometry, digest="another")
    placement = dataclasses.replace(
        placed.design.placement, floorplan=dataclasses.replace(plan, geometry=geometry)
    )
    other = dataclasses.replace(
        placed, design=dataclasses.replace(placed.design, placement=placement)
    )
    assert other.netlist_sha256 == placed.netlist_sha256
    assert other.digest != placed.digest


def test_the_mapped_netlist_is_not_written_as_the_placed_one(tmp_path):
    library = str(LIBERTY / "tiny.lib")
    command = ["characterize", "--placed", "--saif", str(tmp_path), "--liberty", library]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "--saif writes the mapped netlist" in result.output


def test_a_library_of_unknown_geometry_is_refused(tmp_path):
    command = ["characterize", "--placed", "--rows", "2", "--columns", "16", "--liberty"]
    command += [str(LIBERTY / "tiny.lib"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2, result.output
    assert "geometry" in result.output
    assert not (tmp_path / "out").exists()
