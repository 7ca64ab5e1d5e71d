"""Results that are kept: a small JSON file a run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.fields import ConfigError
from adq.files import write_json
from adq.golden.files.json_reader import JsonError, read_json
from adq.golden.files.reading import FileError
from adq.runs.run import Run
from adq.runs.run_schema import RESULT
from adq.training.config import Recipe

SEEDS = "seeds"
"""Folder, in that of the results, of runs with other seeds than the recipe's."""


class ResultError(ValueError):
    """A result, or a page of results, that is damaged or not there."""


@dataclass(frozen=True)
class Result:
    """Figures that are kept of a run."""

    name: str
    """Name of the recipe's file, without its ending."""
    content: Mapping[str, Any]

    @property
    def mixed(self) -> Mapping[str, Any]:
        """Summary of the network whose bits fell."""
        mixed: Mapping[str, Any] = self.content["mixed"]
        return mixed

    @property
    def baseline(self) -> Mapping[str, Any] | None:
        """Summary of the baseline, if the run trained one."""
        return self.content.get("baseline")

    @property
    def seed(self) -> int:
        """Seed of the weights at the start, and of the order of the images."""
        seed: int = self.recipe["training"]["seed"]
        return seed

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Tables of the recipe."""
        recipe: Mapping[str, Any] = self.content["recipe"]
        return recipe


def keep(run: Run, name: str, folder: Path) -> Path:
    """Write what is worth keeping of a finished run to ``folder/name.json``.

    The history's densities are rounded to four digits.
    """
    history = [
        {
            **{key: epoch[key] for key in ("network", "epoch", "iteration", "bits", "channels")},
            "loss": round(epoch["loss"], 4),
            "accuracy": epoch["accuracy"],
            "density": {layer: round(value, 4) for layer, value in epoch["density"].items()},
        }
        for epoch in run.read_history()
    ]
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**run.read_metrics(), "history": history})
    return path


def kept_name(run: Run, recipes: Path) -> str:
    """Find the checked-in recipe of a run, and return the name of the run's result.

    The recipe has the run's values, but for where the images lie, what device trained, and the
    seed. A run with the recipe's seed is named as the recipe; with another seed N, it is
    ``seeds/RECIPE-N``. A run may train a baseline that its recipe lacks.
    """
    recipe = run.read_recipe()
    ours, seed = _decisive(recipe), recipe.training.seed
    for path in sorted(recipes.glob("*.toml")):
        theirs = Recipe.from_toml(path)
        lacks_baseline = theirs.training.baseline and not recipe.training.baseline
        same_seed = theirs.training.seed == seed
        if _decisive(theirs) == ours and not (same_seed and lacks_baseline):
            return path.stem if same_seed else f"{SEEDS}/{path.stem}-{seed}"
    raise ResultError(
        f"{run.path}: no recipe in {recipes} has this run's values: results are kept of "
        "recipes that come with adq"
    )


def reproducing(recipes: Path) -> list[str]:
    """Return the names of the recipes whose results are tabled: all but those of comparisons."""
    names = sorted(each.stem for each in recipes.glob("*.toml"))
    return [name for name in names if not name.startswith("compare-")]


def _decisive(recipe: Recipe) -> Recipe:
    training = dataclasses.replace(recipe.training, device="cpu", threads=1, seed=0, baseline=False)
    return dataclasses.replace(
        recipe, training=training, data=dataclasses.replace(recipe.data, path="")
    )


def read_results(folder: Path) -> dict[str, Result]:
    """Read every result of a folder by name, as ``kept_name`` names them."""
    own = {path.stem: read_result(path) for path in sorted(folder.glob("*.json"))}
    others = sorted((folder / SEEDS).glob("*.json"))
    return own | {f"{SEEDS}/{path.stem}": read_result(path) for path in others}


def read_result(path: Path) -> Result:
    """Read a result, and check it.

    Raises
    ------
    ResultError
        The file holds none, or a field is not of its type or range.
    FileNotFoundError
        There is no file.

    """
    try:
        content = read_json(path, RESULT)
        Recipe.from_table(content["recipe"], source=path)
    except (JsonError, ConfigError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ResultError(
            f"{path}: is no result of a training run, or damaged ({reason}): keep it again with "
            "adq dev results RUN"
        ) from None
    except FileError as error:
        raise ResultError(str(error)) from None
    return Result(path.stem, content)
