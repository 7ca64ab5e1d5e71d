"""Simulation models of runs, each compiled once."""

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from adq.rtl.tile import Tile
from adq.rtl.verilog import to_verilog
from adq.verif.processes import Processes
from adq.verif.signoff.coverage import structural
from adq.verif.signoff.coverage.marking import marked_verilog
from adq.verif.signoff.regression.runs import PORTS, Bench, Run
from adq.verif.signoff.regression.workbench import Workbench, platform_blocks, tile_blocks
from adq.verif.simulation.simulator import Build, build, model_directory
from adq.verif.sources import PACKAGE

__all__ = ["Models"]


def sources_digest() -> str:
    """Return a digest of the tests and of all modules of this project that they import."""
    digest = hashlib.sha256()
    for folder in ("verif", "golden", "rtl"):
        for path in sorted((PACKAGE / folder).glob("**/*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Models:
    """Simulation models, each compiled once, by the first run that needs it."""

    def __init__(
        self, cache: Path, processes: Processes, *, fst: bool = False, coverage: bool = False
    ):
        self.cache = cache
        self.processes = processes
        self.fst = fst
        self.coverage = coverage
        self.sources = sources_digest()
        self._lock = threading.Lock()
        self._models: dict[str, Future[Build]] = {}
        self._fingerprints: dict[str, str] = {}

    def get(self, run: Run) -> Build:
        """Return the model of a run.

        Raises
        ------
        SimulationError
            If it cannot be built.
        """
        with self._lock:
            future, mine = self._models.get(run.model), False
            if future is None:
                future, mine = self._models.setdefault(run.model, Future()), True
        if mine:
            try:
                future.set_result(self.build(run))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def build(self, run: Run) -> Build:
        """Build the model of a run, or find it in the cache."""
        return build(self.cache, processes=self.processes, **self._recipe(run))

    def _recipe(self, run: Run) -> dict[str, Any]:
        top, ports, verilog = self.design(run)
        return {
            "top": top,
            "ports": ports,
            "sources": {f"{top}.v": verilog},
            "arguments": structural.ARGUMENTS if self.coverage else (),
            "fst": self.fst,
        }

    def design(self, run: Run) -> tuple[str, Sequence[str], str]:
        """Return the name, the ports and the Verilog of the design that a run simulates."""
        translate = marked_verilog if self.coverage else to_verilog
        if run.bench is Bench.TILE:
            return "tile", PORTS, translate(Tile(run.tile), name="tile")
        blocks = tile_blocks(run.tile) if run.bench is Bench.BLOCKS else platform_blocks()
        workbench = Workbench(blocks)
        return "workbench", workbench.ports, translate(workbench, name="workbench")

    def verilog(self, run: Run) -> str:
        """Return the Verilog of the model of a run."""
        model = self.get(run)
        return (model.directory / f"{model.top}.v").read_text(encoding="utf-8")

    def fingerprint(self, model: Build) -> str:
        """Return a digest of everything that the results of a model depend on, other than the
        run.
        """
        return f"{model.directory.name}-{self.sources}"

    def fingerprint_of(self, run: Run) -> str:
        """Return the fingerprint of the model of a run, which need not be built."""
        if run.model not in self._fingerprints:
            directory = model_directory(self.cache, **self._recipe(run))
            self._fingerprints[run.model] = f"{directory.name}-{self.sources}"
        return self._fingerprints[run.model]
