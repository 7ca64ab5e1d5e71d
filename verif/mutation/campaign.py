"""A campaign: mutants of a tile, the tests that kill them, and proofs for those that none kills."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rtl.parameters import TileParameters
from rtl.tile import Tile
from verif.batches import run_batches
from verif.mutation.equivalence import Equivalence, Verdict
from verif.mutation.mutants import SELECT, FlatDesign, Mutant, MutantError
from verif.simulator import Build, build

__all__ = ["TILE", "Campaign", "Fate", "Outcome"]

TOP = "tile"

TILE = TileParameters(rows=4, columns=16, row_blocks=3, partial_sums=4, vectors=6, counter_bits=8)
"""The tile that is mutated: every part is in it, its counters wrap soon, and a test takes a tenth
of a second."""

MODULES = ("verif.cocotb.tile.test_tile",)
"""Tests of the short regression that see a tile through its ports."""

PATIENCE = 2 * 20_000
"""Nanoseconds for which a test may wait in vain; see ``StreamSink.take``."""

BATCH = 50
"""Mutants of one simulation."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    EQUIVALENT = "equivalent"
    SURVIVED = "SURVIVED"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Outcome:
    """A mutant, and what became of it.

    Attributes
    ----------
    killed_by : str
        The first test that failed; empty where none did.
    detail : str
        How it failed, or what the proof found.
    """

    mutant: Mutant
    fate: Fate
    killed_by: str = ""
    detail: str = ""

    def as_dict(self) -> dict:
        """The same for programs."""
        return self.mutant.as_dict() | {
            "fate": self.fate.name.lower(),
            "killed_by": self.killed_by,
            "detail": self.detail,
        }


class Campaign:
    """Mutants of a tile under the regression's tests.

    Outcomes are kept in ``outcomes.jsonl`` as they come, and belong to the design with its mutants
    and to the text of the tests: a campaign that was interrupted goes on where it was.

    Parameters
    ----------
    directory
        Where outcomes and simulations go.
    cache
        Where compiled models are kept.
    """

    def __init__(
        self, *, count: int, seed: int, only: str, directory: Path, cache: Path, processes: int
    ):
        self.seed = seed
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.processes = processes
        self.tile = FlatDesign(Tile(TILE), TOP)
        self.mutants = self.tile.mutants(count, seed=seed, only=only)
        self.verilog = self.tile.mutated(self.mutants)
        self.kept = self._read_kept()

    # What is known already

    @property
    def _key(self) -> str:
        digest = hashlib.sha256(f"{self.seed}\n{self.verilog}".encode())
        folders = (Path(__file__).parents[1] / "cocotb", Path(__file__).parent)
        for path in sorted(file for folder in folders for file in folder.rglob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def _file(self) -> Path:
        return self.directory / "outcomes.jsonl"

    def _read_kept(self) -> dict[int, dict]:
        lines = []
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                try:
                    lines.append(json.loads(line))
                except json.JSONDecodeError:  # cut off when it was being written
                    break
        if not lines or lines[0] != {"key": self._key}:
            self._file.write_text(json.dumps({"key": self._key}) + "\n", encoding="utf-8")
            return {}
        return {line["mutant"]: line for line in lines[1:]}

    def _keep(self, line: dict) -> None:
        """Remember something of a mutant, in addition to what is known."""
        line = self.kept.get(line["mutant"], {}) | line
        self.kept[line["mutant"]] = line
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def outcomes(self) -> list[Outcome]:
        """Of the mutants that are done."""
        done = []
        for mutant in self.mutants:
            line = self.kept.get(mutant.number, {})
            if line.get("killed_by"):
                known = {"killed_by": line["killed_by"], "detail": line["message"]}
                done.append(Outcome(mutant, Fate.KILLED, **known))
            elif "verdict" in line:
                fate = {
                    Verdict.EQUAL.name: Fate.EQUIVALENT,
                    Verdict.DIFFERS.name: Fate.SURVIVED,
                    Verdict.UNDECIDED.name: Fate.UNDECIDED,
                }[line["verdict"]]
                done.append(Outcome(mutant, fate, detail=line["reason"]))
        return done

    # Tests

    def build(self) -> Build:
        """The model that holds all mutants."""
        ports = [*self.tile.ports, SELECT]
        return build(self.cache, top=TOP, ports=ports, sources={f"{TOP}.v": self.verilog})

    def run_tests(self, model: Build, finished: Callable[[], None]) -> None:
        """Put the mutants to the tests that were not yet; ``finished`` is called for each.

        Raises
        ------
        MutantError
            If the tests fail where no mutant is active.
        verif.simulator.SimulationError
            If a simulation breaks off.
        """
        left = self._left()
        if not left:
            return
        [line] = self._simulate(model, [[0]], limits=None)
        # The shortest test first.
        times = sorted(line["times"].items(), key=lambda item: item[1])
        limits = {name: 2 * taken + PATIENCE for name, taken in times}
        # The design without a mutant at the end: nothing is left of those before it.
        batches = [[*left[start : start + BATCH], 0] for start in range(0, len(left), BATCH)]
        for line in self._simulate(model, batches, limits=limits):
            if line["mutant"]:
                self._keep(line)
                finished()

    def _simulate(self, model: Build, batches: list[list[int]], *, limits: dict | None):
        given = {"modules": MODULES, "select": SELECT, "limits": limits}
        for line in run_batches(
            model,
            "verif.mutation.killing",
            [given | {"mutants": numbers} for numbers in batches],
            tile=TILE,
            directory=self.directory,
            seed=self.seed,
            processes=self.processes,
        ):
            if not line["mutant"] and line["killed_by"]:
                raise MutantError(
                    f"{line['killed_by']} fails where no mutant is active: {line['message']}"
                )
            yield line

    def _left(self) -> list[int]:
        return [m.number for m in self.mutants if "killed_by" not in self.kept.get(m.number, {})]

    @property
    def untested(self) -> int:
        """Mutants that were not yet put to the tests."""
        return len(self._left())

    # Proofs

    @property
    def survivors(self) -> list[Mutant]:
        """Mutants that no test kills, and of which nothing is proved yet."""

        def survives(line: dict) -> bool:
            return line.get("killed_by", "") is None and "verdict" not in line

        return [mutant for mutant in self.mutants if survives(self.kept.get(mutant.number, {}))]

    def prove(self, finished: Callable[[], None]) -> None:
        """Ask of every survivor whether it can be told from the tile; ``finished`` is called for
        each.
        """
        survivors = self.survivors
        if not survivors:
            return
        with tempfile.TemporaryDirectory(prefix="equivalence-", dir=self.directory) as folder:
            equivalence = Equivalence(self.tile, survivors, Path(folder))
            for number, verdict, reason in equivalence.verdicts(self.processes):
                self._keep({"mutant": number, "verdict": verdict.name, "reason": reason})
                finished()
