"""``adq train``"""

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="One that comes with adq, such as digits, or a TOML file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run, such as runs/digits.")],
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a run that the folder holds, after an epoch."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the folder's run, if it holds one.")
    ] = False,
    other_data: Annotated[
        bool,
        typer.Option(
            "--other-data", help="With --resume: go on although the images are others by now."
        ),
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a recipe's value: training.epochs=3."
        ),
    ] = None,
) -> None:
    """Train a network whose precisions fall with its activation density.

    Leaves in the run's folder: config.toml, history.jsonl (a line an epoch), metrics.json, and
    the checkpoints of the network and of its baseline; events for TensorBoard, if installed.

    Several processes: torchrun --nproc-per-node N -m adq train ...
    """
    from adq.console import Console
    from adq.runs.run import Run
    from adq.shipped import find_shipped
    from adq.training.config import ConfigError, Recipe

    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other: give one of them")
    if other_data and not resume:
        raise ConfigError("--other-data is for a run that goes on: give --resume with it")
    recipe = Recipe.from_toml(find_shipped("train", config), changes or ())
    first = os.environ.get("RANK", "0") == "0"

    from adq.training.observer import Observer, Observers, TensorBoardObserver
    from adq.training.processes import find_device
    from adq.training.session import train

    # Before a run that the folder may hold gives way to this one.
    find_device(recipe.training.device)
    if not first:
        train(recipe, None, Observer(), other_data=other_data)
        return
    run = Run.resume(out, recipe) if resume else Run.create(out, recipe, overwrite=overwrite)
    console = Console(markup=False)
    if run.finished:
        console.print(f"{out}: the run is finished already", highlight=False)
        metrics = run.read_metrics()
    else:
        from adq.training.progress import TrainingProgress

        with TrainingProgress(console) as progress:
            observers = [progress]
            if importlib.util.find_spec("tensorboard"):
                observers.append(TensorBoardObserver(out / run.tensorboard.name))
            metrics = train(recipe, run, Observers(observers), other_data=other_data)

    from adq.runs.metrics_table import print_metrics

    print_metrics(console, metrics)
    console.print(f"Written: {out / 'metrics.json'}", highlight=False)
