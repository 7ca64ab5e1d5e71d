"""``adq train``: trains a recipe."""

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe: the name of one shipped with adq, such as digits, or a TOML file.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output folder of the run, such as runs/digits.")],
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an existing run. It is kept until the new run has trained an epoch.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in the folder, if there is one.")
    ] = False,
    other_data: Annotated[
        bool,
        typer.Option(
            "--other-data", help="With --resume: go on although the images are others by now."
        ),
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights to start from, trained in floating point: a state_dict by torch.save, "
            "or safetensors. The key model.weights of a recipe.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a value of the recipe, such as training.epochs=3. May be repeated.",
        ),
    ] = None,
) -> None:
    """Train a network, lowering the bits of each layer by its activation density.

    Another policy, and the cost at which lowering ends, are values of the recipe:
    --set controller.policy=energy-aware --set controller.budget="50 nJ/image".

    The run's folder receives config.toml, history.jsonl (one line per epoch), metrics.json and the
    checkpoints of the network, of each iteration and of the baseline. The command ends with a table
    of accuracy against energy, cycles and bits, and draws it as pareto.svg if Matplotlib is
    installed. If TensorBoard is installed, events are also written.

    To train with several processes, run: torchrun --nproc-per-node N -m adq train ...
    """
    from adq.console import Console
    from adq.fields import ConfigError
    from adq.runs.run import Run
    from adq.shipped import find_shipped
    from adq.training.config import Recipe

    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other: give one of them")
    if other_data and not resume:
        raise ConfigError("--other-data is for a run that goes on: give --resume with it")
    recipe = Recipe.from_toml(find_shipped("train", config), changes or ())
    if init is not None:
        model = dataclasses.replace(recipe.model, weights=str(init))
        recipe = dataclasses.replace(recipe, model=model)
    first = os.environ.get("RANK", "0") == "0"

    from adq.training.observer import Observer, Observers, TensorBoardObserver
    from adq.training.processes import emulates_bfloat16, find_device
    from adq.training.session import train

    # Check the device before an existing run is replaced.
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
        if emulates_bfloat16(recipe.training):
            console.print(
                "This processor has no instructions for bfloat16: training takes several times as "
                "long as with --set training.precision=float32",
                style="yellow",
            )
        from adq.training.recording.progress import TrainingProgress

        with TrainingProgress(console) as progress:
            observers: list[Observer] = [progress]
            if importlib.util.find_spec("tensorboard"):
                observers.append(TensorBoardObserver(out / run.tensorboard.name))
            metrics = train(recipe, run, Observers(observers), other_data=other_data)

    from adq.runs.metrics_table import print_metrics

    print_metrics(console, metrics)
    energies = [point["energy_nj"] for point in metrics.get("operating_points", ())]
    if importlib.util.find_spec("matplotlib") and energies and None not in energies:
        from adq.runs.density_figures import save
        from adq.runs.pareto_figure import draw_points

        figure = draw_points(
            metrics["operating_points"],
            title=out.resolve().name,
            tile=metrics["recipe"]["controller"]["tile"],
        )
        save(figure, out / "pareto.svg")
        console.print(f"Written: {out / 'pareto.svg'}", highlight=False)
    console.print(f"Written: {out / 'metrics.json'}", highlight=False)
