"""Networks that an exploration trains: those of points that name a recipe."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adq.explore.axes import AXES
from adq.explore.space import ExploreError
from adq.fields import ConfigError
from adq.golden.files.locks import waiting
from adq.runs.run import Run
from adq.shipped import ShippedFileError, find_shipped
from adq.training.config import Recipe
from adq.verif.parallel.pools import Away, Pool, Task
from adq.verif.processes import Processes
from adq.verif.tasks import side_by_side

__all__ = ["IMAGES", "TrainedNetwork", "Trainer", "check_recipe", "trained_networks"]

IMAGES = 16
"""Test images in the artifact of a trained network: the operands that its energy is counted on."""


MOST_SEEDS = 1000
"""Largest number of seeds whose mean a point is."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that a recipe gives.

    Attributes
    ----------
    iteration : int or None
        The iteration at whose end it is taken; None for the last one.
    """

    recipe: Recipe
    iteration: int | None = None

    @property
    def run(self) -> str:
        """Name of its run: a hash of the recipe. All iterations of a recipe share a run."""
        content = json.dumps([version("adq"), dataclasses.asdict(self.recipe)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def artifact(self, folder: Path) -> Path:
        """Return the folder of its golden artifact, below the folder of all runs."""
        name = "artifact" if self.iteration is None else f"artifact-{self.iteration}"
        return folder / self.run / name


def trained_networks(values: Mapping[str, Any], folder: Path) -> list[TrainedNetwork]:
    """Return the networks of a point that names a recipe, one for each of its seeds.

    Parameters
    ----------
    values
        Values of the point.
    folder
        Folder of the space; the path of a recipe is relative to it.

    Raises
    ------
    ConfigError
        If the recipe cannot be read, or a value of an axis is invalid.
    ExploreError
        If the number of seeds or the iteration is out of range.
    """
    for name in ("seeds", "iteration"):
        if values.get(name, 1) is not None and values.get(name, 1) < 1:
            raise ExploreError(f"{name} is {values[name]}: it must be at least 1")
    if values.get("seeds", 1) > MOST_SEEDS:
        raise ExploreError(f"seeds is {values['seeds']}: it must be at most {MOST_SEEDS:,}")
    path = find_shipped("train", values["recipe"])
    changes = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if AXES[name].part == "recipe"
    ]
    recipe = Recipe.from_toml(folder / path, changes)
    first = recipe.training.seed
    return [
        TrainedNetwork(
            dataclasses.replace(
                recipe,
                training=dataclasses.replace(recipe.training, seed=seed, baseline=False),
            ),
            values.get("iteration"),
        )
        for seed in range(first, first + values.get("seeds", 1))
    ]


def check_recipe(name: str, folder: Path) -> None:
    """Refuse a recipe that cannot be read.

    Raises
    ------
    ExploreError
        If there is no such recipe, or it is invalid as it stands.
    """
    try:
        Recipe.from_toml(folder / find_shipped("train", name))
    except (ConfigError, ShippedFileError) as error:
        raise ExploreError(f"axis recipe: {error}") from None


class Trainer:
    """Trains networks, each once for the same recipe, and exports them as golden artifacts.

    Parameters
    ----------
    folder : Path
        Folder of all runs, one below it for each recipe. A run that was interrupted goes on.
    progress
        Called with the number of runs done, the number of all, and both in words.
    """

    def __init__(
        self,
        folder: Path,
        pool: Pool,
        progress: Callable[[int, int, str], None] = lambda done, total, stage: None,
    ):
        self.folder = folder.resolve()
        self.pool = pool
        self.progress = progress
        self.refused: dict[TrainedNetwork, str] = {}
        """Networks that cannot be had, and why."""
        self.new = 0
        """Networks that were trained or exported, and not found."""

    def train(self, networks: Sequence[TrainedNetwork]) -> None:
        """Train and export the networks that are not there yet, in parallel.

        Raises
        ------
        ExploreError
            If a worker has put a network where it cannot be seen from here.
        """
        runs: dict[str, list[TrainedNetwork]] = {}
        for network in dict.fromkeys(networks):
            there = (network.artifact(self.folder) / "manifest.json").is_file()
            if not there and network not in self.refused:
                runs.setdefault(network.run, []).append(network)
        tasks = [
            Task(
                name,
                kind="training",
                away=Away(
                    _train,
                    (group[0].recipe, [each.iteration for each in group], self.folder / name),
                    functools.partial(self._receive, group),
                ),
            )
            for name, group in runs.items()
        ]
        if tasks:
            self.progress(0, len(tasks), f"training {len(tasks)} networks")
        for done, _ in enumerate(side_by_side(tasks, self.pool), 1):
            self.progress(done, len(tasks), f"trained {done} of {len(tasks)} networks")

    def _receive(self, group: Sequence[TrainedNetwork], reasons: Sequence[str]) -> None:
        for network, reason in zip(group, reasons, strict=True):
            artifact = network.artifact(self.folder)
            if reason:
                self.refused[network] = reason
            elif not artifact.is_dir():
                raise ExploreError(
                    f"{artifact} is not there: it was trained on another machine; give as --cache "
                    "a folder that all machines share"
                )
            else:
                self.new += 1


def _train(
    programs: Processes, recipe: Recipe, iterations: Sequence[int | None], folder: Path
) -> list[str]:
    """Train a recipe and export the networks of some iterations, in any process.

    Return a text for each network: the reason why there is none, or an empty one. A recipe that
    does not fit its data, a training that diverges and a network without integers are such reasons.
    """
    from adq.export import export
    from adq.golden.network import NetworkError
    from adq.quantization.integers import ExportError
    from adq.training.observer import Observer
    from adq.training.policies.policy import PolicyError
    from adq.training.processes import TrainingError
    from adq.training.session import train

    programs.check()
    folder.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    # A shard of the same space may train the same recipe.
    with waiting(folder, programs.check):
        try:
            run = Run.resume(folder, recipe)
            if not run.finished:
                train(recipe, run, Observer())
        except (ConfigError, PolicyError, TrainingError) as error:
            return [str(error)] * len(iterations)
        for iteration in iterations:
            artifact = TrainedNetwork(recipe, iteration).artifact(folder.parent)
            try:
                if not (artifact / "manifest.json").is_file():
                    export(run, artifact, images=IMAGES, iteration=iteration)
            except (ExportError, NetworkError) as error:
                reasons.append(str(error))
            else:
                reasons.append("")
    return reasons
