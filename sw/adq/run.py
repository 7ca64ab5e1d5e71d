"""The folder of a training run, and what lies in it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.config import Recipe
from adq.files import replacing


class RunError(ValueError):
    """A run's folder that is not there, not complete, or would be overwritten."""


@dataclass(frozen=True)
class Run:
    """A folder with the results of one recipe."""

    path: Path

    @property
    def config(self) -> Path:
        """Copy of the recipe."""
        return self.path / "config.toml"

    @property
    def history(self) -> Path:
        """One JSON object an epoch and network."""
        return self.path / "history.jsonl"

    @property
    def metrics(self) -> Path:
        """Results, as JSON."""
        return self.path / "metrics.json"

    @property
    def mixed(self) -> Path:
        """Checkpoint of the mixed-precision network."""
        return self.path / "checkpoint.pt"

    @property
    def baseline(self) -> Path:
        """Checkpoint of the baseline, where the recipe asks for one."""
        return self.path / "baseline.pt"

    @classmethod
    def create(cls, path: Path, config: Path, *, overwrite: bool) -> "Run":
        """Start a run in a folder that holds none, or whose run may be overwritten."""
        run = cls(path)
        if run.metrics.exists() and not overwrite:
            raise RunError(f"{path}: holds a run already: choose another --out, or add --overwrite")
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is not a folder: choose another --out")
        path.mkdir(parents=True, exist_ok=True)
        for old in (run.history, run.metrics, run.mixed, run.baseline):
            old.unlink(missing_ok=True)
        with replacing(run.config) as temporary:
            shutil.copyfile(config, temporary)
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Find a finished run."""
        run = cls(path)
        if not run.metrics.is_file():
            raise RunError(
                f"{path}: holds no finished run: train one with "
                f"adq train configs/train/digits.toml --out {path}"
            )
        return run

    def read_recipe(self) -> Recipe:
        """Read the recipe of the run."""
        return Recipe.from_toml(self.config)

    def read_metrics(self) -> dict[str, Any]:
        """Read the results of the run."""
        return json.loads(self.metrics.read_text(encoding="utf-8"))
