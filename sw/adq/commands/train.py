"""``adq train``"""

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="Recipe, such as configs/train/digits.toml.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, such as runs/digits.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that the folder holds.")
    ] = False,
) -> None:
    """Train a network whose precisions fall with its activation density.

    Leaves in the run's folder: config.toml, history.jsonl (a line an epoch), metrics.json, and
    the checkpoints of the network and of its baseline.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from adq.config import Recipe
    from adq.run import Run

    recipe = Recipe.from_toml(config)

    from adq.training import Epoch, find_device, train

    # Before a run that the folder may hold gives way to this one.
    find_device(recipe.training.device)
    run = Run.create(out, config, overwrite=overwrite)
    console = Console()
    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs  loss {task.fields[loss]:.4f}"),
        TextColumn("accuracy {task.fields[accuracy]:.2%}"),
        TextColumn("bits {task.fields[bits]}"),
    )
    with Progress(*columns, console=console) as progress:
        tasks = {}

        def report(epoch: Epoch) -> None:
            fields = {
                "loss": epoch.loss,
                "accuracy": epoch.accuracy,
                "bits": " ".join(map(str, epoch.bits.values())),
            }
            if epoch.network not in tasks:
                tasks[epoch.network] = progress.add_task(
                    epoch.network, total=recipe.training.epochs, **fields
                )
            progress.update(tasks[epoch.network], completed=epoch.epoch, **fields)

        metrics = train(recipe, run, report)
    _print(console, metrics)
    console.print(f"Written: {run.metrics}", highlight=False)


def _print(console, metrics: dict) -> None:
    from rich.table import Table

    mixed = metrics["mixed"]
    table = Table(title="Bits and activation density at the end of each iteration")
    table.add_column("layer")
    for iteration in mixed["iterations"]:
        table.add_column(
            f"iteration {iteration['iteration']}\n"
            f"{iteration['epochs']} epochs\n{iteration['accuracy']:.2%}",
            justify="right",
        )
    for layer in mixed["bits"]:
        cells = []
        for iteration in mixed["iterations"]:
            density = iteration["density"].get(layer)
            shown = "-" if density is None else f"{density:.3f}"
            cells.append(f"{iteration['bits'][layer]}  {shown:>5}")
        table.add_row(layer, *cells)
    console.print(table)
    console.print(f"mixed precision {mixed['accuracy']:.2%} after {mixed['epochs']} epochs")
    if "baseline" in metrics:
        console.print(
            f"baseline        {metrics['baseline']['accuracy']:.2%}, "
            f"difference {100 * metrics['accuracy_difference']:+.2f} points"
        )
