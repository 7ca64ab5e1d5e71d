"""``adq export``: exports a trained network as a golden artifact."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/digits.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the artifact to write or replace.")
    ],
    bits: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=16,
            help="Set every layer to this precision. Uses the run's baseline network if there is "
            "one.",
        ),
    ] = None,
    iteration: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Take the network at the end of an iteration. Default: the last one.",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of test images to store as samples.")
    ] = 50,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also write the network as an ONNX graph.")
    ] = False,
    qonnx: Annotated[
        bool,
        typer.Option("--qonnx", help="Also write the network as a QONNX graph (FINN, hls4ml)."),
    ] = False,
) -> None:
    """Export a trained network as a golden artifact.

    The artifact holds the integer network and sample images with all intermediate integers. The
    command prints how many test images change their class in integers, and stores the number in
    manifest.json.
    """
    from rich.markup import escape
    from rich.table import Table

    from adq.console import Console
    from adq.runs.run import Run

    console = Console(markup=False)
    folder = Run.open(run)
    with console.status(f"{escape(str(directory))}: exporting"):
        from adq.export import export
        from adq.runs.integer_evaluation import other_data_note

        artifact = export(folder, directory, images=images, bits=bits, iteration=iteration)

    network, generator = artifact.network, artifact.generator
    if generator["other_data"]:
        console.print(other_data_note(generator["other_data"]), style="yellow")
    table = Table(title=f"{directory}: {network.name}, {len(artifact.samples)} images")
    table.add_column("layer")
    for heading in ("weight bits", "input bits", "MACs an image", "AD"):
        table.add_column(heading, justify="right")
    for layer in network.matrix_layers:
        table.add_row(
            layer.name,
            str(layer.weight_bits),
            str(network.formats[layer.input].bits),
            f"{network.macs(layer.name):,}",
            "-" if layer.density is None else f"{layer.density:.3f}",
        )
    console.print(table)
    console.print(
        f"accuracy {generator['accuracy']:.2%} as trained, {generator['integer_accuracy']:.2%} in "
        f"integers; {generator['differing_classes']} of {generator['test_images']} classes differ"
    )
    console.print(f"Written: {directory / 'manifest.json'}", highlight=False)
    if onnx or qonnx:
        from adq.artifacts.graphs import write_graphs
        from adq.golden.artifact import Dialect

        asked: list[Dialect] = []
        if onnx:
            asked.append("onnx")
        if qonnx:
            asked.append("qonnx")
        write_graphs(directory, asked, console)
