"""``adq dev engine``: runs an artifact on the platform's RTL."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.tile_options import CACHE


def engine(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to run.")],
    platform: Annotated[
        str,
        typer.Option("--platform", metavar="NAME|FILE", help="Platform to build."),
    ] = "tile1",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the cycles (JSON) and the log.")
    ] = Path("build/engine"),
) -> None:
    """Run an artifact's images on the engine in RTL, layer by layer, with streams for a bus.

    Every integer is compared; cycles of each layer stand beside those of the timeline and of the
    planner's formulas, with its waits for banks of the plane memory. The exit status is 1 if a
    layer takes fewer cycles than its timeline says, or more than these waits account for.
    """
    from dataclasses import asdict

    from adq.cli.result_path import result_path
    from adq.console import Console
    from adq.files import write_json
    from adq.golden.artifact import read_artifact
    from adq.golden.conversion import converted
    from adq.rtl.platform.parameters import PlatformParameters
    from adq.shipped import find_shipped
    from adq.verif.bench.engine import run_on_engine

    parameters = PlatformParameters.from_toml(find_shipped("platform", platform))
    artifact = converted(read_artifact(directory)).artifact
    inputs = artifact.samples.inputs
    path = result_path(directory, out)
    console = Console()
    layers = []
    with console.status(f"{directory}: building and running"):
        for each in run_on_engine(
            artifact.network, inputs, parameters, path.with_suffix(""), CACHE
        ):
            layers.append(each)
    for each in layers:
        console.print(
            f"{each.node}: {each.results:,} results, {each.cycles:,} cycles, "
            f"timeline {each.timeline:,}, planned {each.planned:,}, waits {each.waits:,}",
            highlight=False,
            soft_wrap=True,
        )
    document = [
        {"node": each.node, "weight_bits": each.layer.weight_bits,
         "planes": each.layer.source_planes, "vectors": each.layer.windows * each.layer.window,
         "outputs": each.layer.outputs, "results": each.results, "cycles": each.cycles,
         "timeline": each.timeline, "planned": each.planned, "waits": each.waits,
         "stacked": each.layer.stacked, "split": each.layer.split}
        for each in layers
    ]  # fmt: skip
    write_json(
        path,
        {
            "artifact": str(directory),
            "platform": asdict(parameters),
            "images": len(inputs),
            "layers": document,
        },
    )
    console.print(f"0 results differ. Written: {path}", highlight=False)
    if not all(each.agrees for each in layers):
        raise typer.Exit(1)
