"""Tables of kept results, for a page in Markdown."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adq.console import markdown_code, markdown_text
from adq.files import write_text
from adq.runs.results import SEEDS, Result, ResultError
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


def write_page(page: Path, results: Mapping[str, Result], recipes: Sequence[str]) -> None:
    """Put the tables between the marks of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, behind = rest.partition(END)
    if not begin or not end:
        raise ResultError(f"{page}: lacks the lines {BEGIN!r} and {END!r}, between which to write")
    write_text(page, f"{before}{BEGIN}\n\n{markdown(results, recipes)}\n{END}{behind}")


def markdown(results: Mapping[str, Result], recipes: Sequence[str]) -> str:
    """Return three kinds of tables: all recipes, run or not; the recipes that were run with several
    seeds; and for each recipe the iterations of the run with its own seed.
    """
    lines = [
        "| recipe | accuracy | 16-bit baseline | difference | MAC reduction | training complexity "
        "| PIM energy, times lower | the paper's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in recipes:
        paper = PAPER_ENERGY.get(name, "-")
        cells = _figures(results[name], results) if name in results else ["not run"] + ["-"] * 5
        lines.append(f"| {markdown_code(name)} | {' | '.join(cells)} | {paper} |")
    lines += _over_seeds(results, recipes)
    for name in recipes:
        if name in results:
            lines += ["", *_iterations(results[name])]
    return "\n".join(lines) + "\n"


def _over_seeds(results: Mapping[str, Result], recipes: Sequence[str]) -> list[str]:
    """Return the table of the recipes that were run with several seeds, if there are any."""
    rows = []
    for name in recipes:
        runs = [results[name]] if name in results else []
        others = re.compile(rf"{SEEDS}/{re.escape(name)}-\d+")
        runs += [result for key, result in results.items() if others.fullmatch(key)]
        if len(runs) > 1:
            rows.append(_seeds_row(name, sorted(runs, key=lambda run: run.seed), results))
    if not rows:
        return []
    return [
        "",
        "Recipes that were run with several seeds, as mean +- standard deviation; a difference is "
        "that to the baseline of the same seed:",
        "",
        "| recipe | seeds | accuracy | 16-bit baseline | difference | MAC reduction "
        "| PIM energy, times lower |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def _seeds_row(name: str, runs: Sequence[Result], results: Mapping[str, Result]) -> str:
    accuracies = [100 * run.mixed["accuracy"] for run in runs]
    pairs = [(run, _baseline_of(run, results)) for run in runs]
    compared = ["-", "-"]
    if all(baseline for _, baseline in pairs):
        baselines = [100 * baseline["accuracy"] for _, baseline in pairs if baseline]
        differences = [ours - theirs for ours, theirs in zip(accuracies, baselines, strict=True)]
        compared = [f"{_spread(baselines)}%", f"{_spread(differences, sign='+')} points"]
    reductions = [run.mixed["mac_reduction"] for run in runs]
    energies = [run.mixed["pim_energy_reduction"] for run in runs]
    cells = [
        markdown_code(name),
        ", ".join(str(run.seed) for run in runs),
        f"{_spread(accuracies)}%",
        *compared,
        f"{_spread(reductions)}x",
        f"{_spread(energies, digits=1)}x",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], *, digits: int = 2, sign: str = "") -> str:
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{mean:{sign}.{digits}f} +- {deviation:.{digits}f}"


def _baseline_of(result: Result, results: Mapping[str, Result]) -> Mapping[str, Any] | None:
    return result.baseline or _baseline_of_another(result, results)


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
    baseline = _baseline_of(result, results)
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
    """Return the table of a run's networks with their energy on the tile, if that was kept.

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
