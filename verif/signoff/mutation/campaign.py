"""Mutation campaign: mutants of a design, tests that kill them, and proofs for the survivors."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adq.golden.files.directory import scratch_directory
from adq.verif.abc import Answer
from adq.verif.parallel.pools import Pool
from adq.verif.signoff.mutation.designs import MutatedDesign
from adq.verif.signoff.mutation.equivalence import Equivalence
from adq.verif.signoff.mutation.mutants import SELECT, FlatDesign, Mutant, MutantError
from adq.verif.signoff.regression.batches import BatchModel, run_batches
from adq.verif.sources import PACKAGE

__all__ = ["Campaign", "Fate", "Outcome"]

PATIENCE = 2 * 20_000
"""Nanoseconds for which a test may wait in vain; see ``StreamSink.take``."""

BATCH = 50
"""Mutants of one simulation."""

SHORT = 0.15
"""Share of the tests' time in which the shortest kill nearly all that any test does."""

SECONDS = 20
"""Processor time of a proof that a mutant which no test kills equals the tile."""


class Fate(StrEnum):
    """Result of a mutant."""

    KILLED = "killed"
    EQUAL = "proved equal"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Outcome:
    """A mutant and its result.

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
        """Return the outcome as plain values for JSON."""
        return self.mutant.as_dict() | {
            "fate": self.fate.name.lower(),
            "killed_by": self.killed_by,
            "detail": self.detail,
        }


class Campaign:
    """Runs the mutants of a design against the tests that see it through its ports.

    Outcomes are kept in ``outcomes.jsonl`` as they come, and belong to the design with its mutants
    and to the text of the tests: a campaign that was interrupted goes on where it was.

    Parameters
    ----------
    design
        What is mutated, and its tests.
    directory
        Where outcomes and simulations go.
    cache
        Where compiled models are kept.
    pool
        Workers of the simulations.
    processes
        Proofs at a time, on this machine.
    """

    def __init__(
        self,
        design: MutatedDesign,
        *,
        count: int,
        seed: int,
        only: str,
        directory: Path,
        cache: Path,
        pool: Pool,
        processes: int,
    ):
        self.design = design
        self.seed = seed
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cache = cache
        self.pool = pool
        self.processes = processes
        self.flat = FlatDesign(design.component(), design.name)
        self.mutants = self.flat.mutants(count, seed=seed, only=only)
        self.verilog = self.flat.mutated(self.mutants)
        self.kept = self._read_kept()

    # Outcomes that are kept

    @property
    def _key(self) -> str:
        digest = hashlib.sha256(f"{self.seed}\n{self.verilog}".encode())
        tests = sorted((PACKAGE / "verif" / "cocotb").rglob("*.py"))
        for path in (*tests, Path(__file__).with_name("killing.py")):
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
        """Add something to what is known of a mutant."""
        line = self.kept.get(line["mutant"], {}) | line
        self.kept[line["mutant"]] = line
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes of the mutants that are finished."""
        done = []
        for mutant in self.mutants:
            line = self.kept.get(mutant.number, {})
            if line.get("killed_by"):
                known = {"killed_by": line["killed_by"], "detail": line["message"]}
                done.append(Outcome(mutant, Fate.KILLED, **known))
            elif "answer" in line:
                fate = Fate.EQUAL if line["answer"] == Answer.NEVER else Fate.UNDECIDED
                done.append(Outcome(mutant, fate, detail=line["reason"]))
        return done

    # Tests

    def build(self) -> BatchModel:
        """Build the simulation model that contains all mutants."""
        ports = (*self.flat.ports, SELECT)
        model = BatchModel(
            cache=self.cache, top=self.design.name, ports=ports, verilog=self.verilog
        )
        model.build()
        return model

    def run(
        self, model: BatchModel, began: Callable[[str, int], None], finished: Callable[[], None]
    ):
        """Run the mutants. Each one is run against the short tests first; a survivor is run against
        all other tests, and if it survives those as well, a proof of equivalence is tried.

        Parameters
        ----------
        began
            Called with each of these steps and its number of mutants.
        finished
            Called for each mutant of a step.

        Raises
        ------
        MutantError
            If the tests fail where no mutant is active.
        adq.verif.simulation.simulator.SimulationError
            If a simulation breaks off.
        """
        if len(self.outcomes()) == len(self.mutants):
            return
        [line] = self._simulate(model, [[0]], limits=None)
        times = sorted(line["times"].items(), key=lambda item: item[1])
        limits = {name: 2 * taken + PATIENCE for name, taken in times}
        total = sum(line["times"].values())
        sums = itertools.accumulate(taken for _, taken in times)
        short = [name for name, taken in zip(limits, sums, strict=True) if taken < SHORT * total]
        steps = (
            ("the shortest tests", lambda left: self._test(model, left, limits, short)),
            (
                "all other tests",
                lambda left: self._test(model, left, limits, [*limits][len(short) :]),
            ),
            ("proofs", self._prove),
        )
        for step, (name, work) in enumerate(steps):
            left = [mutant for mutant in self.mutants if self._step(mutant) == step]
            began(name, len(left))
            if left:
                for line in work(left):
                    self._keep(line | {"step": step + 1})
                    finished()

    def _step(self, mutant: Mutant) -> int | None:
        """Return the next step of a mutant, or None if its fate is known."""
        line = self.kept.get(mutant.number, {})
        if line.get("killed_by"):
            return None
        return line.get("step", 0)

    def _test(
        self, model: BatchModel, mutants: Sequence[Mutant], limits: dict, tests: Sequence[str]
    ) -> Iterator[dict]:
        numbers = [mutant.number for mutant in mutants]
        # The design without a mutant at the end: nothing is left of those before it.
        batches = [[*numbers[start : start + BATCH], 0] for start in range(0, len(numbers), BATCH)]
        chosen = {name: limits[name] for name in tests}
        for line in self._simulate(model, batches, limits=chosen):
            if line["mutant"]:
                yield line

    def _prove(self, mutants: Sequence[Mutant]) -> Iterator[dict]:
        with scratch_directory(self.directory, "equivalence") as folder:
            equivalence = Equivalence(
                self.flat, folder, seconds=SECONDS, contract=self.design.contract
            )
            for mutant, answer, reason in equivalence.answers(mutants, threads=self.processes):
                yield {"mutant": mutant.number, "answer": answer.value, "reason": reason}

    def _simulate(self, model: BatchModel, batches: list[list[int]], *, limits: dict | None):
        given = {"modules": self.design.modules, "select": SELECT, "limits": limits}
        for line in run_batches(
            model,
            "adq.verif.signoff.mutation.killing",
            [given | {"mutants": numbers} for numbers in batches],
            environment=self.design.environment,
            directory=self.directory,
            seed=self.seed,
            pool=self.pool,
        ):
            if not line["mutant"] and line["killed_by"]:
                raise MutantError(
                    f"{line['killed_by']} fails where no mutant is active: {line['message']}"
                )
            yield line
