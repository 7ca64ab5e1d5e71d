"""The folder of a training run, and what lies in it."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adq.files import remove_remains, write_bytes, write_text
from adq.golden.files.directory import replace_directory
from adq.golden.files.json_reader import MAXIMUM_BYTES, JsonError, check_signature, parse, sign
from adq.golden.files.reading import FileError, read_file
from adq.runs.run_schema import EPOCH, METRICS
from adq.training.config import Recipe

DERIVED = {".svg", ".png", ".pdf"}
"""Endings of figures, which may lie in a run's folder and go with it."""


_HISTORY = "history_sha256"
_ITERATIONS = "iterations"
_CHECKSUM = "sha256"


class RunError(ValueError):
    """A run's folder that is not there, not complete, was changed, or would be overwritten."""


@dataclass(frozen=True)
class Run:
    """A folder with the results of one recipe."""

    path: Path
    target: Path | None = None
    """Where the folder goes, once it holds enough to take the place of the run that is there."""

    @property
    def config(self) -> Path:
        """The recipe, every value written out."""
        return self.path / "config.toml"

    @property
    def history(self) -> Path:
        """One JSON object an epoch and network."""
        return self.path / "history.jsonl"

    @property
    def metrics(self) -> Path:
        """Results, as JSON: what a finished run has."""
        return self.path / "metrics.json"

    @property
    def mixed(self) -> Path:
        """Checkpoint of the mixed-precision network."""
        return self.path / "checkpoint.pt"

    @property
    def baseline(self) -> Path:
        """Checkpoint of the baseline, where the recipe asks for one."""
        return self.path / "baseline.pt"

    def iteration(self, number: int) -> Path:
        """Return the checkpoint of the network at the end of an iteration that was not the last."""
        return self.path / _ITERATIONS / f"{number}.pt"

    def iterations(self) -> dict[int, Path]:
        """Return the checkpoints of iterations, all but the last one, by number."""
        found = (self.path / _ITERATIONS).glob("*.pt")
        return {int(each.stem): each for each in sorted(found, key=lambda each: int(each.stem))}

    @property
    def tensorboard(self) -> Path:
        """Folder of events, where TensorBoard is installed."""
        return self.path / "tensorboard"

    @classmethod
    def create(cls, path: Path, recipe: Recipe, *, overwrite: bool = False) -> "Run":
        """Start a run in a folder that holds none, or whose run may be overwritten.

        A run that is overwritten stays whole, and stays in its place, until the new one is
        worth more than nothing: ``take_place``, after the first epoch.
        """
        run = cls(path)
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is not a folder: choose another --out")
        if run.started:
            if not overwrite:
                raise RunError(
                    f"{path}: holds a run already: add --resume to go on with it or --overwrite "
                    "to replace it, or choose another --out"
                )
            run._check_replaceable()
            staged = path.with_name(f".{path.name}.new")
            shutil.rmtree(staged, ignore_errors=True)
            run = cls(staged, target=path)
        run.path.mkdir(parents=True, exist_ok=True)
        run.write_recipe(recipe)
        return run

    @classmethod
    def resume(cls, path: Path, recipe: Recipe) -> "Run":
        """Go on with the run in a folder, or start one where there is none."""
        run = cls(path)
        if not run.started:
            return cls.create(path, recipe)
        differences = run.read_recipe().differences(recipe)
        if differences:
            raise RunError(
                f"{path}: holds a run of another recipe ({_shortened(differences)}, in this "
                "order): give the recipe as it was, or add --overwrite instead of --resume"
            )
        iterations = run.iterations().values()
        for file in (run.config, run.history, run.metrics, run.mixed, run.baseline, *iterations):
            remove_remains(file)
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Find a finished run, with the recipe that it was trained by."""
        run = cls(path)
        if not run.metrics.is_file():
            if run.started:
                raise RunError(
                    f"{path}: the run is not finished: adq train {run.config} --out {path} --resume"
                )
            raise RunError(
                f"{path}: holds no finished run: train one with adq train digits --out {path}"
            )
        trained = Recipe.from_table(run.read_metrics().get("recipe", {}), source=run.metrics)
        differences = trained.differences(run.read_recipe())
        if differences:
            raise RunError(
                f"{run.config}: was changed since the run was trained ({_shortened(differences)}, "
                "in this order): put it back, or train again"
            )
        return run

    @property
    def started(self) -> bool:
        """Return whether there is something to go on with, or to lose."""
        return any(each.exists() for each in (self.mixed, self.baseline, self.metrics))

    @property
    def finished(self) -> bool:
        """Return whether training has come to its end."""
        return self.metrics.is_file()

    def take_place(self) -> "Run":
        """Replace the older run in one step, if there is one; return the run where it is now."""
        if self.target is None:
            return self
        replace_directory(self.path, self.target)
        shutil.rmtree(self.path, ignore_errors=True)  # now the older run
        return replace(self, path=self.target, target=None)

    def read_recipe(self) -> Recipe:
        """Read the recipe of the run."""
        return Recipe.from_toml(self.config)

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe of the run."""
        write_text(self.config, recipe.to_toml())

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write the results of the run, with the checksum of its history and one of their own."""
        history = _last_checksum(self.read_history_lines())
        write_bytes(self.metrics, sign({**metrics, _HISTORY: history}))

    def read_metrics(self) -> dict[str, Any]:
        """Read the results of the run, and check them.

        Raises
        ------
        RunError
            They are damaged, were changed, or are not of this version.

        """
        try:
            text = read_file(self.metrics, MAXIMUM_BYTES, links=False)
            metrics: dict[str, Any] = parse(text)
            METRICS.check(metrics)
            check_signature(text)
        except JsonError as error:
            raise RunError(f"{self.metrics}: {error}: train again") from None
        except FileError as error:
            raise RunError(f"{error}: train again") from None
        del metrics["sha256"]
        if metrics.pop(_HISTORY, None) != _last_checksum(self.read_history_lines()):
            raise RunError(
                f"{self.history}: is not the history that {self.metrics.name} was written with: "
                "train again"
            )
        return metrics

    def write_history(self, epochs: Iterable[dict[str, Any]]) -> None:
        """Write a line an epoch, the whole file anew.

        The last field of a line, ``sha256``, is the checksum of all lines up to it.
        """
        lines, checksum = [], ""
        for epoch in epochs:
            text = json.dumps(epoch, allow_nan=False)
            checksum = _chained(checksum, text)
            lines.append(f'{text.removesuffix("}")}, "{_CHECKSUM}": "{checksum}"}}\n')
        write_text(self.history, "".join(lines))

    def read_history(self) -> list[dict[str, Any]]:
        """Read the epochs of all networks, in the order of training.

        Raises
        ------
        RunError
            A line is damaged or was changed.
        OSError
            There is none.

        """
        epochs = self.read_history_lines()
        for epoch in epochs:
            del epoch[_CHECKSUM]
        return epochs

    def read_history_lines(self) -> list[dict[str, Any]]:
        """Read the epochs as ``read_history`` does, each with its checksum."""
        epochs, checksum = [], ""
        try:
            text = read_file(self.history, MAXIMUM_BYTES, links=False)
            *lines, end = text.decode().split("\n")
            if end:
                raise JsonError("its last line has no end")
            for number, line in enumerate(lines, 1):
                epoch = parse(line)
                EPOCH.check(epoch)
                body = line[: line.rfind(f', "{_CHECKSUM}"')] + "}"
                checksum = _chained(checksum, body)
                if epoch.get(_CHECKSUM) != checksum:
                    raise JsonError(f"line {number}: its sha256 is not that of the lines up to it")
                epochs.append(epoch)
        except UnicodeDecodeError:
            raise RunError(f"{self.history}: is no text: train again") from None
        except JsonError as error:
            raise RunError(f"{self.history}: is damaged ({error}): train again") from None
        except FileError as error:
            raise RunError(f"{error}: train again") from None
        return epochs

    def _check_replaceable(self) -> None:
        """Refuse to remove what no run has written."""
        own = {
            path.name
            for path in (
                self.config,
                self.history,
                self.metrics,
                self.mixed,
                self.baseline,
                self.tensorboard,
                self.path / _ITERATIONS,
            )
        }
        foreign = [
            each.name
            for each in sorted(self.path.iterdir())
            if each.name not in own
            and each.suffix not in DERIVED
            and not any(each.name.startswith(f".{name}.") for name in own)
        ]
        if foreign:
            raise RunError(
                f"{self.path}: --overwrite would remove {_shortened(foreign)}, which belongs to no "
                "run: move it away, or choose another --out"
            )


def _shortened(texts: list[str], most: int = 3) -> str:
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "")


def _chained(checksum: str, text: str) -> str:
    """Return the checksum of a line's text and of the lines before it, whose checksum is given."""
    return hashlib.sha256(f"{checksum}\n{text}".encode()).hexdigest()


def _last_checksum(epochs: list[dict[str, Any]]) -> str:
    return epochs[-1][_CHECKSUM] if epochs else ""
