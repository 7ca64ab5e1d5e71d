"""``adq import``: reads a quantized ONNX file of another tool as a golden artifact."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.golden.exchange.comparison import Comparison
    from adq.golden.exchange.reading import Imported


def import_(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Quantized ONNX file: QONNX or QDQ form.")
    ],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the artifact to write or replace.")
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Images as the network takes them, (N, C, H, W): .npy, or .npz with arrays "
            "`images` and, if known, `labels`. Random images without it.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of images to store as samples.")
    ] = 50,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--no-compare",
            help="Run the file by ONNX Runtime or qonnx on all images, and compare every node.",
        ),
    ] = True,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of random images.")] = 1,
) -> None:
    """Import a quantized network from an ONNX file as a golden artifact.

    QONNX as Brevitas exports it, and ONNX with QuantizeLinear and DequantizeLinear as ONNX
    Runtime and PyTorch write it, are understood. An operator without exact integer form is
    refused by its name.

    Accumulators are those of the file. Between layers, a multiplier of 16 bits and a shift stand
    for the file's scales: the table states for each node by how much that can differ, and how
    often it does, on the file's own inputs of that node.

    The exit status is 1 if an accumulator differs.
    """
    from rich.markup import escape

    from adq.console import Console
    from adq.golden.artifact import write_artifact
    from adq.golden.exchange.comparison import compare as compare_with_file
    from adq.golden.exchange.importing import artifact_of, images_and_labels
    from adq.golden.exchange.reading import read_model

    console = Console(markup=False)
    with console.status(f"{escape(str(model))}: reading") as status:
        imported = read_model(model)
        given, labels, told = images_and_labels(imported, images, count=samples, seed=seed)
        comparison = None
        if compare:
            status.update(f"{escape(str(model))}: running the file on {len(given)} images")
            comparison = compare_with_file(imported, given)
        artifact = artifact_of(
            imported,
            given[:samples],
            None if labels is None else labels[:samples],
            comparison=comparison,
            images_from=told,
        )
        write_artifact(directory, artifact)
    console.print(_table(imported, comparison, f"{directory}: {imported.network.name}"))
    for note in imported.notes:
        console.print(note)
    if comparison is not None:
        accuracy = "" if labels is None else f", {(comparison.classes == labels).mean():.2%} right"
        console.print(
            f"{comparison.runner} on {comparison.images:,} images ({told}): "
            f"{comparison.differing_classes:,} of {comparison.classes.size:,} classes differ"
            f"{accuracy}"
        )
    console.print(f"Written: {directory / 'manifest.json'}", highlight=False)
    if comparison is not None and not comparison.agrees:
        console.print("Accumulators differ from the file's.", style="red")
        raise typer.Exit(1)


def _table(imported: "Imported", comparison: "Comparison | None", title: str) -> "Table":
    """Return one row a node that computes."""
    from rich.table import Table

    from adq.golden.network import MatrixLayer

    network = imported.network
    roundings = {each.node: each for each in imported.roundings}
    compared = {} if comparison is None else {each.node: each for each in comparison.nodes}
    table = Table(title=title)
    table.add_column("node")
    headings = ["bits", "steps off\nat most"]
    headings += [] if comparison is None else ["sums\ndiffer", "activations\ndiffer", "of"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for node in network.nodes:
        rounding, found = roundings.get(node.name), compared.get(node.name)
        if rounding is None and not (found and found.differing_activations):
            continue
        bits = str(network.formats[node.input].bits)
        if isinstance(node, MatrixLayer):
            bits = f"{node.weight_bits} x {bits}"
        off = "-" if rounding is None else _bound(rounding.error, halves=rounding.halves_up)
        cells = [node.name, bits, off]
        if comparison is not None:
            sums, activations = (found.accumulators, found.activations) if found else (0, 0)
            cells.append(f"{found.differing_accumulators:,}" if found and sums else "-")
            cells.append(f"{found.differing_activations:,}" if found and activations else "-")
            cells.append(f"{activations or sums:,}")
        table.add_row(*cells)
    return table


def _bound(error: float, *, halves: bool) -> str:
    """Say how far a node's numbers can be from the file's before they are rounded."""
    if error:
        return f"{error:.1e}"
    return "halves" if halves else "0"
