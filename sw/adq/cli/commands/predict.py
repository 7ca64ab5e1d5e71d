"""`adq predict`: classes of an artifact's images by the platform's RTL."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ProcessesOption
from adq.cli.tile_options import CACHE


def predict(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to run.")],
    platform: Annotated[
        str,
        typer.Option(
            "--platform",
            metavar="NAME|FILE",
            help="Platform parameters: the name of a platform shipped with adq, or a TOML file.",
        ),
    ] = "tile1",
    images: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Images. Default: all of the artifact."),
    ] = None,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="Most images at a time on the platform.")
    ] = 32,
    processes: ProcessesOption = None,
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Threads of a simulation, each on a processor of its own: for a few images on "
            "many tiles. Another number compiles the platform again.",
        ),
    ] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of classes and cycles (JSON).")
    ] = Path("build/predict"),
) -> None:
    """Classify an artifact's images on the platform's RTL, compiled, one process a processor.

    A host in C++ writes the program and the images into memory, starts the platform, and reads the
    results after its interrupt. Everything that the network returns is compared with the artifact;
    the exit status is 1 if an integer differs. `adq export --images N` makes an artifact of N
    images.
    """
    import time
    from dataclasses import asdict

    from rich.markup import escape

    from adq.cli.result_path import result_path
    from adq.console import Console
    from adq.files import write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.conversion import converted
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.simulation.program_runs.compiled import CompiledHost
    from adq.verif.simulation.program_runs.prediction import predict as predict_images

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    artifact = converted(read_artifact(directory)).artifact
    samples = artifact.samples
    count = min(images or len(samples), len(samples))
    console = Console(markup=False)
    began = time.perf_counter()
    with console.status(f"{escape(str(directory))}: compiling the platform") as status:
        host = CompiledHost(parameters, CACHE, threads=threads)
        made = predict_images(
            artifact,
            host,
            images=count,
            batch=batch,
            processes=processes,
            progress=lambda done: status.update(f"{done:,} of {count:,} images"),
        )
    seconds = time.perf_counter() - began
    first = next(iter(made.outputs.values()))
    classes = first.argmax(axis=1)
    right = int((classes == samples.labels[:count]).sum()) / classes.size
    counters = dict(made.counters)
    cycles = counters.pop("cycles")
    used = made.processes * threads
    processors = f"{used} processor{'s' * (used > 1)}"
    beats = {name: counters.pop(name) for name in ("read_beats", "write_beats")}
    console.print(
        f"{directory} on {platform}: {count:,} images in {made.runs:,} runs, {right:.2%} as "
        f"labelled, {made.differing:,} integers differ from the artifact.\n"
        f"{cycles / count:,.0f} cycles an image, {made.planned / count:,.0f} by the formulas: "
        + ", ".join(f"{name} {value / cycles:.1%}" for name, value in counters.items())
        + f".\n{made.seconds:,.1f} s of simulation on {processors}, "
        f"{cycles / made.seconds:,.0f} cycles a second; {seconds:,.1f} s in all.",
        highlight=False,
        soft_wrap=True,
    )
    path = result_path(directory, out)
    write_json(
        path,
        {
            "artifact": str(directory),
            "platform": asdict(parameters),
            "images": count,
            "runs": made.runs,
            "accuracy": right,
            "differing": made.differing,
            "cycles": cycles,
            "planned_cycles": made.planned,
            "cycles_by_cause": counters,
            "bus_beats": beats,
            "simulation": {
                "seconds": made.seconds,
                "processes": made.processes,
                "threads": threads,
            },
            "seconds": seconds,
            "classes": classes.tolist(),
        },
    )
    console.print(f"Written: {path}", highlight=False)
    if made.differing:
        raise typer.Exit(1)
