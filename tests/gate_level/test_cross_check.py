"""Comparison with OpenSTA: without it, with one that is too old, and with the one that is here."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adq.cli import main
from adq.energy.cross_check import CrossCheck, CrossCheckError, cross_check, opensta_version
from adq.layout.cross_check import ideal_clock, place_tile
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.liberty.library import Library
from adq.verif.operands.jobs import random_job
from adq.verif.synthesis.synthesis import Synthesis
from tests.places import ROOT

pytestmark = pytest.mark.testpoint(
    reason="The tile in a library's cells: what it takes, not what it computes."
)

TINY = ROOT / "tests" / "liberty" / "tiny.lib"
SMALL = TileParameters(rows=3, columns=16, partial_sums=0, row_blocks=1)
NANGATE = Path(os.environ.get("ADQ_LIBERTY", "no such file"))
SEED = 3

FAKE = """#!/bin/sh
if [ "$1" = -version ]; then echo 9.9; exit; fi
if grep -q "info commands" "$3"; then {answer}; exit; fi
cp "$3" {keep}
echo "worst slack 0.5"
sed -n 's/^ *[A-Z0-9]*_X[0-9]* \\([a-z0-9_]*\\) .*/1.0e-06 2.0e-06 3.0e-06 6.0e-06 \\1/p' netlist.v
"""


@pytest.fixture
def jobs():
    rng = np.random.default_rng(SEED)
    return [random_job(SMALL, rng, weight_bits=8, activation_bits=4, signed=False, vectors=8)]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An OpenSTA that finds 1 uW in every cell and 2 in its nets."""

    def install(answer: str) -> Path:
        program = tmp_path / "bin" / "sta"
        program.parent.mkdir()
        program.write_text(FAKE.format(answer=answer, keep=tmp_path / "kept.tcl"))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return tmp_path / "kept.tcl"

    return install


def test_without_opensta_the_command_says_so(monkeypatch):
    monkeypatch.setattr("adq.energy.cross_check.STA", "no-such-sta")
    result = CliRunner().invoke(main, ["dev", "cross-check", "--liberty", str(TINY)])
    assert result.exit_code == 0
    assert "skipped: there is no OpenSTA here (sta): sudo apt-get install opensta" in result.output


@pytest.mark.slow
def test_one_that_reads_no_saif_is_told_pin_by_pin(tile, jobs, fake, tmp_path):
    script = fake("echo")
    found = cross_check(tile, jobs, name="tiny", directory=tmp_path / "run")
    assert found.message.startswith("OpenSTA 9.9 is too old for read_saif")
    assert found.internal_mw is None
    assert found.longest_path_ns.opensta == pytest.approx(tile.period - 0.5)
    assert found.longest_path_ns.ours == tile.synthesis.timing.delay
    gates = sum(i.cell.startswith("CLKGATE") for i in tile.netlist.instances)
    cells = len(tile.netlist.instances)
    assert found.net_mw["compute"].opensta == pytest.approx(2e-3 * (cells - gates))
    lines = script.read_text().splitlines()
    pins = sum(len(instance.pins) for instance in tile.netlist.instances)
    told = [line for line in lines if "set_power_pin_activity" in line]
    # The clock's is the only input port that no flip-flop stands behind.
    inputs = sum(len(nets) for way, nets in tile.netlist.ports.values() if way == "input") - 1
    assert sum("input_register" in line for line in told) == 3 * inputs
    assert len(told) - 3 * inputs == pins == found.pins


def test_one_that_reads_saif_tells_power_inside_cells(tile, jobs, fake, tmp_path):
    script = fake("echo read_saif")
    found = cross_check(tile, jobs, name="tiny", directory=tmp_path / "run")
    assert found.message == ""
    cells = len(tile.netlist.instances)
    assert found.internal_mw["load"].opensta == pytest.approx(1e-3 * cells)
    assert "read_saif -scope tile" in script.read_text()
    assert CrossCheck.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_one_that_gives_no_report_is_a_named_error(tile, jobs, tmp_path, monkeypatch):
    program = tmp_path / "sta"
    program.write_text("#!/bin/sh\necho 9.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CrossCheckError, match=r"sta 9\.9 gave no report; its last words: 9\.9"):
        cross_check(tile, jobs, name="tiny", directory=tmp_path / "run")


@pytest.mark.skipif(shutil.which("sta") is None, reason="needs opensta")
def test_both_find_the_same_longest_path(tile, jobs, tmp_path):
    found = cross_check(tile, jobs, name="tiny", directory=tmp_path)
    assert found.version == opensta_version()
    assert abs(found.longest_path_ns.difference) < 0.03


@pytest.mark.skipif(shutil.which("sta") is None, reason="needs opensta")
@pytest.mark.skipif(not NANGATE.exists(), reason="ADQ_LIBERTY names no library")
def test_both_find_the_same_power_of_a_placed_tiles_nets(jobs, tmp_path):
    library = Library.read(NANGATE)
    netlist, spef = ideal_clock(place_tile(SMALL, library, cache=tmp_path))
    tile = GateLevelTile(SMALL, library, cache=tmp_path, synthesis=Synthesis(netlist, library))
    found = cross_check(tile, jobs, name="placed", directory=tmp_path / "run", spef=spef)
    for blocks in found.block_net_mw.values():
        assert len(blocks) > 1
        for block, pair in blocks.items():
            assert abs(pair.difference) < 0.02, block
