"""The job's timing diagram: how rows are written, and whether the documentation shows the tile."""

import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.verif.waveform.job import bus, wire
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("tile.cycles")

FIGURE = ROOT / "docs" / "figures" / "job.svg"


def test_levels_and_values_become_waves():
    assert wire("a", [0, 1, 1, 0]) == {"name": "a", "wave": "01.0"}
    values = ["1", "1", None, None, "1"]
    assert bus("b", values) == {"name": "b", "wave": "=.z.=", "data": ["1", "1"]}
    assert bus("b", values, beats=True) == {"name": "b", "wave": "==z.=", "data": ["1", "1", "1"]}


def test_the_figure_in_the_documentation_is_what_the_tile_does(tmp_path):
    told = CliRunner().invoke(main, ["dev", "waveform", "--out", str(tmp_path / "job.svg")])
    assert told.exit_code == 0, told.output
    drawn = (tmp_path / "job.svg").read_text()
    assert FIGURE.read_text() == drawn, "the tile's timing has changed: run `make waveform`"
