"""A campaign: mutants of a tile, the tests that kill them, and proofs for those that none kills."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from rtl.parameters import TileParameters
from verif.mutation.equivalence import Equivalence, Verdict
from verif.mutation.mutants import SELECT, TOP, FlatTile, Mutant, MutantError
from verif.simulator import Build, build

__all__ = ["TILE", "Campaign", "Fate", "Outcome"]

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
        self.tile = FlatTile(TILE)
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
        limits = self._limits(model)
        batches = [left[start : start + BATCH] for start in range(0, len(left), BATCH)]
        folders = [self._folder(f"batch-{batch[0]}-") for batch in batches]

        def simulate(numbers: Sequence[int], folder: Path):
            # The design without a mutant at the end: nothing is left of those before it.
            self._simulate(model, [*numbers, 0], limits, folder)

        seen = dict.fromkeys(folders, 0)

        def collect():
            for folder in folders:
                lines = _complete_lines(folder / "outcomes.jsonl")
                for line in lines[seen[folder] :]:
                    if line["mutant"]:
                        self._keep(line)
                        finished()
                    elif line["killed_by"]:
                        raise MutantError(_baseline(line))
                seen[folder] = len(lines)

        with ThreadPoolExecutor(self.processes) as pool:
            try:
                futures = [pool.submit(simulate, *w) for w in zip(batches, folders, strict=True)]
                while not all(future.done() for future in futures):
                    time.sleep(0.2)
                    collect()
                for future in futures:
                    future.result()
                collect()
            except BaseException:
                # A simulation looks for this file before each mutant.
                for folder in folders:
                    (folder / "stop").touch()
                pool.shutdown(cancel_futures=True)
                raise
        for folder in folders:
            shutil.rmtree(folder)

    def _left(self) -> list[int]:
        return [m.number for m in self.mutants if "killed_by" not in self.kept.get(m.number, {})]

    @property
    def untested(self) -> int:
        """Mutants that were not yet put to the tests."""
        return len(self._left())

    def _limits(self, model: Build) -> dict[str, float]:
        """Time in which each test must be done, the shortest test first."""
        folder = self._folder("without-")
        self._simulate(model, [0], None, folder)
        [line] = _complete_lines(folder / "outcomes.jsonl")
        if line["killed_by"]:
            raise MutantError(_baseline(line))
        shutil.rmtree(folder)
        times = sorted(line["times"].items(), key=lambda item: item[1])
        return {name: 2 * taken + PATIENCE for name, taken in times}

    def _folder(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self.directory))

    def _simulate(self, model: Build, numbers: Sequence[int], limits: dict | None, folder: Path):
        specification = folder / "campaign.json"
        specification.write_text(
            json.dumps(
                {"modules": MODULES, "select": SELECT, "mutants": numbers, "limits": limits}
            ),
            encoding="utf-8",
        )
        model.run(
            "verif.mutation.killing",
            directory=folder,
            environment={
                "ADQ_TILE": json.dumps(asdict(TILE)),
                "ADQ_MUTATION": str(specification),
                "COCOTB_LOG_LEVEL": "CRITICAL",
            },
            seed=self.seed,
        )

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
        folder = self._folder("equivalence-")
        equivalence = Equivalence(self.tile, survivors, folder)
        for number, verdict, reason in equivalence.verdicts(self.processes):
            self._keep({"mutant": number, "verdict": verdict.name, "reason": reason})
            finished()
        shutil.rmtree(folder)


def _baseline(line: dict) -> str:
    return f"{line['killed_by']} fails where no mutant is active: {line['message']}"


def _complete_lines(path: Path) -> list[dict]:
    """Objects of a file to which another process appends."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
