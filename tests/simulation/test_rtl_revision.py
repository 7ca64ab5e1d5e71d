"""Revisions of blocks: what changes them, what does not, and who says so."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.coefficients import checked_in
from adq.energy.fitting.fit import Records, fit
from adq.rtl.parameters import TileParameters
from adq.rtl.tile import Tile
from adq.verif.simulation.rtl_revision import block_revisions, tile_revisions
from adq.verif.simulation.switching.net_classes import BLOCKS
from tests.energy.characterizations import characterization

pytestmark = pytest.mark.testpoint(reason="Energy of networks: software above the contracts.")


def test_every_block_of_the_reference_has_a_revision():
    assert set(tile_revisions()) == set(BLOCKS) - {"partial sum buffer"}


def changed() -> list[str]:
    """Blocks that differ from the source as it was imported."""
    now = tile_revisions.__wrapped__()
    return [block for block, each in now.items() if each != tile_revisions()[block]]


def test_a_change_is_of_its_block_alone(monkeypatch):
    """Shorter ripples make more carry selects in accumulators, and change nothing else."""
    tile_revisions()
    monkeypatch.setattr(TileParameters, "longest_ripple", 4)
    assert changed() == ["accumulators"]


def test_a_change_that_a_small_tile_does_not_show(monkeypatch):
    """Half as many beats a block: a block of 16 rows has no more than that."""
    tile_revisions()
    small = TileParameters(rows=16, columns=16, row_blocks=1, partial_sums=0)
    before = block_revisions(Tile(small), "tile")
    monkeypatch.setattr(TileParameters, "load_beats", 16)
    assert block_revisions(Tile(small), "tile") == before
    assert "storage" in changed()


@pytest.mark.parametrize("each", checked_in(), ids=lambda each: f"{each.library}-{each.tile.rows}")
def test_coefficients_that_come_with_the_package_are_of_this_rtl(each):
    assert each.other_revisions == []


@pytest.mark.parametrize(("block", "status"), [("", 0), ("feeder", 1)])
def test_energy_of_another_revision_says_so_and_ends_with_1(block, status, tmp_path, monkeypatch):
    records = Records.read(characterization(tmp_path / "test.json"))
    revisions = dict(tile_revisions()) | ({block: "0" * 64} if block else {})
    model = dataclasses.replace(fit(records, provenance={}), revisions=revisions)
    monkeypatch.setattr("adq.energy.coefficients.checked_in", lambda: [model])
    arguments = ["energy", "--arch", "digits", "--input", "1x8x8", "--library", "test"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == status, result.output
    said = "feeder was characterized on another revision of its RTL." in result.stdout
    assert said == bool(block)
    written = json.loads(Path(tmp_path, "energy.json").read_text())
    assert written["other_revisions"] == ([block] if block else [])
