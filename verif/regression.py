"""The short regression: cocotb tests of the tile's ports, at the size asked for."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from rtl.parameters import TileParameters
from rtl.tile import Tile
from rtl.verilog import to_verilog
from verif.simulator import build

__all__ = ["MODULES", "TestResult", "run_port_tests"]

STREAMS = ("jobs", "weights", "activations", "results")

PORTS = (
    *("clk", "rst", "counter_address", "counter_data"),
    *(f"{name}__{wire}" for name in STREAMS for wire in ("valid", "ready", "payload")),
)

MODULES = ("verif.cocotb.tile.test_tile",)
"""Modules of tests that drive the tile's ports."""


@dataclass(frozen=True)
class TestResult:
    """Outcome of a test; ``message`` is empty where it passed."""

    name: str
    message: str

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return not self.message


def run_port_tests(
    tile: TileParameters,
    *,
    directory: Path,
    cache: Path,
    seed: int = 1,
    progress: Callable[[str], None] = lambda stage: None,
) -> list[TestResult]:
    """Run every test of :data:`MODULES` on a tile; each module in a directory of its own.

    Raises
    ------
    verif.simulator.SimulationError
        If the model cannot be built, or the simulator ends without results.
    """
    progress(f"building the {tile.rows}x{tile.columns} tile for its port tests")
    sources = {"tile.v": to_verilog(Tile(tile), name="tile")}
    model = build(cache, top="tile", ports=PORTS, sources=sources)
    results = []
    for module in MODULES:
        progress(f"running {module}")
        run = directory / module.rsplit(".", 1)[-1]
        model.run(
            module,
            directory=run.resolve(),
            environment={"ADQ_TILE": json.dumps(asdict(tile))},
            seed=seed,
        )
        results += _read_results(run / "results.xml")
    return results


def _read_results(path: Path) -> list[TestResult]:
    """Outcomes in the JUnit file that cocotb wrote."""
    results = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        message = ""
        if failure is not None:
            text = failure.get("message") or failure.get("error_msg") or failure.text or ""
            message = text.strip().splitlines()[0] if text.strip() else "failed"
        results.append(TestResult(case.get("name", "?"), message))
    return results
