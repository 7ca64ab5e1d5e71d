"""Runs: one simulation each, in its own directory, with a record of its parameters and its end."""

import dataclasses
import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from adq.golden.files.writing import write_json
from adq.rtl.parameters import ParameterError, TileParameters
from adq.verif.simulation.results import TestResult, read_bins
from adq.verif.simulation.simulator import SimulationError

__all__ = [
    *("BLOCKS", "PLATFORM_BLOCKS", "PORTS", "TILE_BLOCKS"),
    *("Bench", "Record", "Run", "State", "read_record"),
]

TILE_BLOCKS = (
    *("column_counter", "weight_array", "feeder", "sequencer", "counters"),
    *("fuser", "accumulator", "collector", "partial_sums", "shift_add", "plane_tile"),
)
"""Blocks with a bench of their own in ``verif/cocotb/``, whose sizes follow from the tile's."""

PLATFORM_BLOCKS = (
    *("requantizer", "maximum_pool"),
    *("plane_memory", "walker", "plane_aligner", "conductor"),
    *("accumulator_memory", "plane_writer", "drain", "weight_path"),
)
"""Blocks with a bench of their own whose sizes are the same, whatever the tile's."""

BLOCKS = (*TILE_BLOCKS, *PLATFORM_BLOCKS)

STREAMS = ("jobs", "weights", "activations", "results")

PORTS = (
    *("clk", "rst", "counter_address", "counter_data"),
    *(f"{name}__{wire}" for name in STREAMS for wire in ("valid", "ready", "payload")),
)

SIZES = ("rows", "columns", "row_blocks", "partial_sums", "vectors")
"""Parameters of a tile that stand in every id."""

TIMEOUT = 3600
"""Seconds after which a simulator is taken to hang."""


class Bench(StrEnum):
    """Design under test of a run."""

    BLOCKS = "blocks"
    TILE = "tile"
    PLATFORM = "platform"

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders of ``verif/cocotb/`` that hold its tests."""
        if self is Bench.TILE:
            return ("tile",)
        return TILE_BLOCKS if self is Bench.BLOCKS else PLATFORM_BLOCKS


def module(folder: str) -> str:
    """Return the module of a folder's tests."""
    return f"adq.verif.cocotb.{folder}.test_{folder}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Tests of the blocks of a tile, of the tile through its ports, or of the platform's blocks,
    with one seed.
    """

    bench: Bench
    tile: TileParameters
    seed: int
    leave_out: tuple[str, ...] = ()
    """Tests that are not run: ``folder.test``."""

    @property
    def model(self) -> str:
        """Short name of the simulated design: sizes, and parameters that differ from their
        defaults.
        """
        t = self.tile
        others = "".join(
            f"-{field.name}{'.' * (field.type is str)}{getattr(t, field.name)}"
            for field in dataclasses.fields(t)
            if field.name not in SIZES and getattr(t, field.name) != field.default
        )
        sizes = f"{t.rows}x{t.columns}-{t.row_blocks}x{t.partial_sums}-{t.vectors}"
        return f"{self.bench}-{sizes}{others}"

    @property
    def id(self) -> str:
        """Identifier that contains all parameters of the run; see :meth:`from_id`."""
        return f"{self.model}-seed{self.seed}"

    @classmethod
    def from_id(cls, name: str) -> "Run":
        """Return the run with an identifier.

        Raises
        ------
        SimulationError
            If it is none.
        """
        found = re.fullmatch(
            r"(blocks|tile|platform)-(\d+)x(\d+)-(\d+)x(\d+)-(\d+)((?:-[a-z_]+(?:\d+|\.\w+))*)-seed(\d+)",
            name,
        )
        if not found:
            raise SimulationError(
                f"{name} is no run: take an id from regression.json or nightly.json, such as "
                "tile-4x16-3x4-6-seed1"
            )
        bench, *numbers, others, seed = found.groups()
        sizes = {name: int(size) for name, size in zip(SIZES, numbers, strict=True)}
        sizes |= {name: int(size) for name, size in re.findall(r"-([a-z_]+)(\d+)", others)}
        names = dict(re.findall(r"-([a-z_]+)\.(\w+)", others))
        try:
            tile = TileParameters(**sizes, **names)
        except (ParameterError, TypeError) as error:
            raise SimulationError(f"{name} is no run: {error}") from None
        return cls(bench=Bench(bench), tile=tile, seed=int(seed))

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders of its tests."""
        return self.bench.folders

    @property
    def only(self) -> str | None:
        """Regular expression of the full names of its tests, if some are left out."""
        if not self.leave_out:
            return None
        names = (
            re.escape(f"{module(folder)}.{test}")
            for folder, _, test in (name.partition(".") for name in self.leave_out)
        )
        return rf"^(?!({'|'.join(names)})(/|$))"

    def replay(self, test: str = "") -> str:
        """Return the command that repeats the run, or one of its tests, with a waveform."""
        return f"make replay RUN={self.id}" + (f" TEST='{test}'" if test else "")


class State(StrEnum):
    """State of a run."""

    RUNNING = "running"
    """Under way, or cut off."""
    PASSED = "passed"
    FAILED = "failed"
    """A test has failed."""
    BROKEN = "broken"
    """No model, or no results: the reason says why."""

    @property
    def finished(self) -> bool:
        """Return whether the same design and tests would give the same results again."""
        return self in (State.PASSED, State.FAILED)


@dataclass(frozen=True)
class Record:
    """A run and its results, which stand in ``run.json`` in its directory."""

    run: Run
    directory: Path
    fingerprint: str
    """Hash of the design, the tests and the tools."""
    state: State = State.RUNNING
    reason: str = ""
    seconds: float = 0.0
    tests: tuple[TestResult, ...] = ()

    def write(self) -> None:
        """Write ``run.json``."""
        document = {
            "id": self.run.id,
            "bench": self.run.bench.value,
            "tile": asdict(self.run.tile),
            "seed": self.run.seed,
            "left_out": list(self.run.leave_out),
            "state": self.state.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "fingerprint": self.fingerprint,
            "replay": self.run.replay(),
            "tests": self.tests_json(),
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        write_json(self.directory / "run.json", document)

    def tests_json(self) -> list[dict]:
        """Return its tests as plain values for JSON."""
        return [
            {
                "test": result.test,
                "name": f"{self.run.model} {result.name}",
                "run": self.run.id,
                "seed": self.run.seed,
                "seconds": result.seconds,
                "outcome": "passed" if result.passed else "failed",
                "message": result.message,
                "replay": self.run.replay(result.name),
            }
            for result in self.tests
        ]

    def bins(self) -> dict[str, int]:
        """Return the hits of the functional coverage bins."""
        return read_bins(self.directory)


def read_record(run: Run, directory: Path, fingerprint: str) -> Record | None:
    """Return the record of a run of the same design and tests, if it has finished."""
    try:
        document = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        if document["fingerprint"] != fingerprint or document["id"] != run.id:
            return None
        if document["left_out"] != list(run.leave_out):
            return None
        state = State(document["state"])
        tests = tuple(
            TestResult(test["name"].partition(" ")[2], test["message"], test["seconds"])
            for test in document["tests"]
        )
        record = Record(run, directory, fingerprint, state, "", document["seconds"], tests)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if record.state.finished else None
