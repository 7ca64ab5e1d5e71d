"""Faults of the RTL that change its switching and none of its results: the counted energy moves by
what the gate level of the same faulty RTL moves.

Each fault is planted in a copy of the repository, which is mapped to the library's cells and
simulated there. ``ADQ_LIBERTY`` names the liberty file of a library that has coefficients.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adq.energy.coefficients import coefficients_for
from adq.energy.default_library import LIBRARY
from adq.energy.fitting.counted_fit import cycles_of, gate_energies
from adq.rtl.parameters import TileParameters
from adq.verif.simulation.switching.net_classes import ClassCounts
from tests.places import ROOT

pytestmark = pytest.mark.testpoint("switching.counted")

LIBERTY = Path(os.environ.get("ADQ_LIBERTY", "no such file"))
SIZE = 16

FEEDER, PLANES = "rtl/pim_tile/feeder.py", "rtl/shift_add/planes.py"
ACCUMULATOR = "rtl/shift_add/accumulator.py"
FUSED = 'fused = bit_slice.lanes_of(list(getattr(fuser, f"fused_{n}")), lanes)'

FAULTS = {
    "planes that a precision does not use are clocked": [
        (FEEDER, "with m.If(accept & used[bit]):", "with m.If(accept):")
    ],
    "no operand isolation in front of the result register": [
        (
            PLANES,
            "whole = used if widest == p.weight_widths[0] else used & stage.last",
            "whole = used",
        )
    ],
    "accumulators load words that nobody reads": [
        (ACCUMULATOR, "with m.If(self.step & used(j)):", "with m.If(self.step):")
    ],
    "accumulators two bits too wide": [
        (PLANES, "widths={n: p.plane_width(n) for", "widths={n: p.plane_width(n) + 2 for"),
        (PLANES, FUSED, f"{FUSED}\n        fused = bit_slice.resize(fused, len(fused) + 2)"),
    ],
}
"""File, its text, and the faulty text."""

RUNS = """
import json, sys
from pathlib import Path
from adq.energy.gate_level.characterization import record
from adq.energy.gate_level.random_cases import RandomCase
from adq.rtl.parameters import TileParameters
from adq.verif.gate_level.tile import GateLevelTile
from adq.verif.simulation.harness import build_harness
from adq.verif.simulation.harness.bare import play_bare
from adq.verif.operands.jobs import streams_of
from adq.verif.liberty.library import Library

liberty, cache, size, out = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
tile = TileParameters(rows=size, columns=size, row_blocks=1, partial_sums=0)
gates = GateLevelTile(tile, Library.read(liberty), cache=cache)
model, design = build_harness(tile, cache / "models")
runs = []
for weight_bits, activation_bits, density, signed in (
    *((2, 2, 0.5, False), (4, 4, 0.5, False), (8, 8, 0.5, True)),
    *((16, 16, 0.3, False), (2, 8, 0.75, False), (16, 4, 0.5, True)),
):
    case = RandomCase("normal", weight_bits, activation_bits, density, signed=signed)
    [play] = play_bare(
        model, streams_of(tile, case.jobs(tile)), directory=Path("rtl-run"), separate=True
    )
    run = record(gates, case, directory=Path("gate-run"))
    runs.append(run | {"counts": design.counts_of(play.switching).to_json()})
Path(out).write_text(json.dumps(runs))
"""


def energies(folder: Path, fault: list[tuple[str, str, str]]) -> list[tuple[float, float]]:
    """Energy at gate level and counted energy of jobs of several precisions, in fJ, with a fault
    planted in a copy of the repository.
    """
    for name in ("rtl", "golden", "verif", "sw", "configs"):
        ignored = shutil.ignore_patterns("__pycache__", "vectors")
        # Links stay links, so that the faulty file is the one that is imported.
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, symlinks=True)
    for name, right, wrong in fault:
        source = (folder / name).read_text()
        assert source.count(right) == 1, f"{name} has not once: {right}"
        (folder / name).write_text(source.replace(right, wrong))
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    environment["PYTHONPATH"] = str(folder / "sw")
    cache, out = ROOT / "build", folder / "runs.json"
    command = [sys.executable, "-c", RUNS, *map(str, (LIBERTY.resolve(), cache, SIZE, out))]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    model = coefficients_for(LIBRARY, TileParameters(rows=SIZE, columns=SIZE)).counted
    return [
        (
            sum(gate_energies(run).values()),
            model.energy(ClassCounts.from_json(run["counts"]), cycles_of(run)).total,
        )
        for run in json.loads(out.read_text())
    ]


def keep(fault: str, sound: list[tuple[float, float]], faulty: list[tuple[float, float]]) -> None:
    """Leave the energies of a fault's runs in ``build/planted-faults.json``, for the docs."""
    path = ROOT / "build" / "planted-faults.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    names = ("gate", "counted", "gate_after", "counted_after")
    runs = [
        dict(zip(names, (*before, *after), strict=True))
        for before, after in zip(sound, faulty, strict=True)
    ]
    path.write_text(json.dumps(kept | {fault: runs}, indent=1) + "\n")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> list[tuple[float, float]]:
    """Energies without a fault."""
    return energies(tmp_path_factory.mktemp("sound"), [])


@pytest.mark.slow
@pytest.mark.skipif(not LIBERTY.exists(), reason="ADQ_LIBERTY names no liberty file")
@pytest.mark.parametrize("fault", FAULTS)
def test_counted_energy_moves_as_the_gate_level_does(sound, fault, tmp_path):
    faulty = energies(tmp_path, FAULTS[fault])
    keep(fault, sound, faulty)
    moved = []
    for (gate, counted), (gate_after, counted_after) in zip(sound, faulty, strict=True):
        change, told = gate_after - gate, counted_after - counted
        assert abs(told - change) <= max(abs(change) / 5, 0.005 * gate), (change, told, gate)
        moved.append(change / gate)
    # It is a fault that energy shows, at some precision.
    assert max(moved) > 0.01
