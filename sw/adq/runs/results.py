"""Results that are kept: a small JSON file a run, and the tables made of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adq.console import markdown_code, markdown_text
from adq.fields import ConfigError
from adq.files import write_json, write_text
from adq.golden.files.json_reader import JsonError, read_json
from adq.golden.files.reading import FileError
from adq.runs.run import Run
from adq.runs.run_schema import RESULT
from adq.training.config import Recipe

BEGIN = "<!-- made by `adq dev results`: do not edit -->"
END = "<!-- end of what `adq dev results` made -->"

PAPER_ENERGY = {
    "cifar10-vgg19": "5.12x (abstract)",
    "cifar10-vgg19-10k": "5.12x (abstract)",
    "cifar10-vgg19-10k-pruned": "198x (abstract)",
    "cifar10-vgg19-10k-three": "5.12x (abstract)",
    "cifar10-vgg19-pruned": "198x (abstract)",
    "cifar100-resnet18": "4.81x (abstract)",
    "cifar100-resnet18-10k": "4.81x (abstract)",
    "cifar100-resnet18-10k-three": "4.81x (abstract)",
    "cifar100-resnet18-pruned": "44x (abstract)",
}
"""Reduction of PIM energy that the paper gives for what a recipe trains."""

_NO_MATTER = frozenset({"baseline", "threads", "checkpoint_steps", "device"})
"""Keys of ``[training]`` that a baseline's accuracy does not depend on."""


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
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    write_json(path, {**run.read_metrics(), "history": history})
    return path


def recipe_name(run: Run, recipes: Path) -> str:
    """Find the checked-in recipe of a run: the one with the same values.

    Where the images lie and what device trained decide nothing that the recipe is for.
    """
    ours = _decisive(run.read_recipe())
    for path in sorted(recipes.glob("*.toml")):
        if _decisive(Recipe.from_toml(path)) == ours:
            return path.stem
    raise ResultError(
        f"{run.path}: no recipe in {recipes} has this run's values: results are kept of "
        "recipes that come with adq"
    )


def reproducing(recipes: Path) -> list[str]:
    """Return the names of the recipes whose results are tabled: all but those of comparisons."""
    names = sorted(each.stem for each in recipes.glob("*.toml"))
    return [name for name in names if not name.startswith("compare-")]


def _decisive(recipe: Recipe) -> Recipe:
    training = dataclasses.replace(recipe.training, device="cpu", threads=1)
    return dataclasses.replace(
        recipe, training=training, data=dataclasses.replace(recipe.data, path="")
    )


def read_results(folder: Path) -> dict[str, Result]:
    """Read every result of a folder by name."""
    return {path.stem: read_result(path) for path in sorted(folder.glob("*.json"))}


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


def write_page(page: Path, results: Mapping[str, Result], recipes: Sequence[str]) -> None:
    """Put the tables between the marks of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, behind = rest.partition(END)
    if not begin or not end:
        raise ResultError(f"{page}: lacks the lines {BEGIN!r} and {END!r}, between which to write")
    write_text(page, f"{before}{BEGIN}\n\n{markdown(results, recipes)}\n{END}{behind}")


def markdown(results: Mapping[str, Result], recipes: Sequence[str]) -> str:
    """Tables: a line a recipe, run or not, and for each run its iterations."""
    lines = [
        "| recipe | accuracy | 16-bit baseline | difference | MAC reduction | training complexity "
        "| PIM energy, times lower | the paper's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in recipes:
        paper = PAPER_ENERGY.get(name, "-")
        cells = _figures(results[name], results) if name in results else ["not run"] + ["-"] * 5
        lines.append(f"| {markdown_code(name)} | {' | '.join(cells)} | {paper} |")
    for name in recipes:
        if name in results:
            lines += ["", *_iterations(results[name])]
    return "\n".join(lines) + "\n"


def _baseline_of_another(result: Result, results: Mapping[str, Result]) -> Mapping[str, Any] | None:
    """Return the baseline of a recipe that trains the same network on the same data in the same
    way: only how its bits and channels fall is another.
    """
    for other in results.values():
        if other.baseline and _training_of(other) == _training_of(result):
            return other.baseline
    return None


def _training_of(result: Result) -> tuple[Any, ...]:
    """Return what a baseline depends on."""
    training = {k: v for k, v in result.recipe["training"].items() if k not in _NO_MATTER}
    return training, result.recipe["data"], result.recipe["model"]


def _figures(result: Result, results: Mapping[str, Result]) -> list[str]:
    mixed = result.mixed
    baseline = result.baseline or _baseline_of_another(result, results)
    compared = ["-", "-"]
    if baseline:
        difference = 100 * (mixed["accuracy"] - baseline["accuracy"])
        compared = [f"{baseline['accuracy']:.2%}", f"{difference:+.2f} points"]
    return [
        f"{mixed['accuracy']:.2%}",
        *compared,
        f"{mixed['mac_reduction']:.2f}x",
        f"{mixed['training_complexity']:.3f}",
        f"{mixed['pim_energy_reduction']:.1f}x",
    ]


def _iterations(result: Result) -> list[str]:
    content, mixed = result.content, result.mixed
    training, data = result.recipe["training"], result.recipe["data"]
    images = f"{data['train_images']:,}" if data["train_images"] else "all"
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    named = (markdown_text(each) for each in (data["name"], content["device"], versions))
    data_name, device, versions = named
    minutes = [f"{network['seconds'] / 60:.1f}" for network in (mixed, result.baseline) if network]
    rows = [
        f"{markdown_code(result.name)}: {data_name}, {images} training images, "
        f"seed {training['seed']}, {training['epochs']} epochs in {' + '.join(minutes)} minutes, "
        f"{device}, threads: {training['threads']}; {versions}.",
        "",
        "| iteration | epochs | accuracy | bits | output channels | AD |",
        "|---|---|---|---|---|---|",
    ]
    for each in mixed["iterations"]:
        density = " ".join(f"{value:.2f}" for value in each["density"].values())
        rows.append(
            f"| {each['iteration']} | {each['epochs']} | {each['accuracy']:.2%} "
            f"| {_series(each['bits'])} | {_series(each['channels'])} | {density} |"
        )
    return [*rows, *_operating_points(result)]


def _operating_points(result: Result) -> list[str]:
    """Table of a run's networks with their energy on the tile; nothing where that was not kept.

    Energies are compared with those of the last network that was trained at the initial bits.
    """
    points = [each for each in result.content.get("operating_points", []) if each["energy_nj"]]
    controller = Recipe.from_table(dict(result.recipe), source=Path(result.name)).controller
    initial = controller.initial_bits
    full = [each for each in points if each["trained"] and set(each["bits"].values()) == {initial}]
    if not full:
        return []
    tile = Path(controller.tile).stem
    rows = [
        "",
        f"Energy of computing on {markdown_code(tile)}:",
        "",
        "| network | accuracy | bits a MAC | uJ an image | cycles an image | times less energy |",
        "|---|---|---|---|---|---|",
    ]
    for each in points:
        name = each["name"] if each["trained"] else f"{each['name']}, not trained at them"
        rows.append(
            f"| {name} | {each['accuracy']:.2%} | {each['average_bits']:.2f} "
            f"| {each['energy_nj'] / 1000:.1f} | {each['cycles']:,.0f} "
            f"| {full[-1]['energy_nj'] / each['energy_nj']:.1f}x |"
        )
    return rows


def _series(values: Mapping[str, int]) -> str:
    return " ".join(map(str, values.values()))
