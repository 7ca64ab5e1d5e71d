"""``adq verify``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.artifacts.verification import Verified


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact.")],
    random: Annotated[
        int,
        typer.Option(
            "--random",
            metavar="N",
            min=0,
            help="Hold ONNX Runtime against NumPy on this many random images, too.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the random images.")] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the result goes, as JSON.")
    ] = Path("build/verify"),
) -> None:
    """Check an artifact, recompute its samples, and say node by node what agrees.

    Computes by NumPy, by ONNX Runtime and by the executor of QONNX, the latter two where they are
    installed, on graphs that are made from the artifact's network. A graph in the artifact's folder
    has to be the same one; it is compared, and never run.

    Tells which bits and densities the integers speak against; labels, scales and what the generator
    says are not checked.

    Exit status 1 if an integer differs, 2 if the artifact cannot be read or has another graph.
    """
    from rich.markup import escape

    from adq.artifacts.verification import IMPLEMENTATIONS, Verification, missing_package
    from adq.cli.result_path import result_path
    from adq.console import Console
    from adq.files import write_json
    from adq.golden.verify import doubts
    from adq.shipped import install_command

    console = Console(markup=False)
    results: list[Verified] = []
    not_run = {}
    with console.status(f"{escape(str(directory))}: reading") as status:
        verification = Verification(directory)
        if missing_package("onnx") is None:
            verification.check_graphs()
        for implementation in IMPLEMENTATIONS:
            package = missing_package(implementation)
            if package is not None:
                not_run[implementation] = (
                    f"{package} is not installed: {install_command('onnx')} brings it"
                )
                continue
            status.update(f"{escape(str(directory))}: {implementation} on the samples")
            results.append(verification.samples(implementation))
        if random and "onnx" in not_run:
            raise ModuleNotFoundError(name="onnxruntime")
        if random:
            for done in verification.random(random, seed):
                status.update(f"{escape(str(directory))}: {done.images} of {random} random images")
            results.append(done)

    console.print(_table(f"{directory}: integers that differ", results))
    for implementation, why in not_run.items():
        console.print(f"Not run: {implementation}: {why}", markup=False, highlight=False)
    agrees = all(result.agrees for result in results)
    for result in results:
        for node in result.nodes:
            if not node.agrees:
                console.print(
                    f"{result.implementation}, {node.node}: {node.first_difference}",
                    style="red",
                    markup=False,
                    highlight=False,
                )
    doubted = doubts(verification.artifact)
    for doubt in doubted:
        console.print(f"Doubtful: {doubt}", style="yellow", markup=False, highlight=False)
    if agrees:
        console.print("All integers agree.")
    else:
        console.print("Integers differ: export again.", style="red")
    path = result_path(directory, out)
    write_json(
        path,
        {
            "artifact": str(directory),
            "images": len(verification.artifact.samples),
            "agrees": agrees,
            "doubts": doubted,
            "seed": seed if random else None,
            "results": [result.to_json() for result in results],
            "not_run": not_run,
        },
    )
    console.print(f"Written: {path}", highlight=False)
    if not agrees:
        raise typer.Exit(1)


def _table(title: str, results: "list[Verified]") -> "Table":
    """One row a node, one column an implementation."""
    from rich.table import Table

    table = Table(title=title)
    for heading in ("node", "operation"):
        table.add_column(heading)
    table.add_column("integers", justify="right")
    for result in results:
        against = "" if result.against == "samples" else "\nrandom"
        plural = "s" if result.images > 1 else ""
        table.add_column(
            f"{result.implementation}{against}\n{result.images:,} image{plural}", justify="right"
        )
    for nodes in zip(*(result.nodes for result in results), strict=True):
        table.add_row(
            nodes[0].node,
            nodes[0].operation,
            f"{nodes[0].integers:,}",
            *(f"{node.differing:,}" for node in nodes),
            style=None if all(node.agrees for node in nodes) else "red",
        )
    return table
