"""``adq verify``: recomputes the samples of an artifact."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.artifacts.float_comparison import LayerDifference
    from adq.artifacts.verification import Verified


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to verify.")],
    random: Annotated[
        int,
        typer.Option(
            "--random",
            metavar="N",
            min=0,
            help="Also compare ONNX Runtime with NumPy on N random images.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the random images.")] = 1,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Your own function that returns your trained network in floating point: compare "
            "it with the integers, layer by layer.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0,
            help="Largest relative difference of a layer (root mean square) that --module accepts.",
        ),
    ] = 0.1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the result (JSON).")
    ] = Path("build/verify"),
) -> None:
    """Check an artifact, recompute its samples, and compare every integer of every node.

    The samples are computed by NumPy and, if installed, by ONNX Runtime and the QONNX executor.
    The ONNX graphs are generated from the artifact's network. A graph in the artifact's folder must
    be identical to the generated one; it is compared but never run.

    Bits and densities that contradict the integers are reported. Labels, scales and the generator's
    statements are not checked.

    With --module, your own network in floating point computes the artifact's images as well. Its
    layers differ from the integers by the effect of quantization. The first layer that differs by
    more than --tolerance is named.

    The exit status is 1 if an integer or a layer differs, and 2 if the artifact or the network
    cannot be read.
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
        ran = ", ".join(dict.fromkeys(result.implementation for result in results))
        console.print(f"All integers agree: {ran}.", highlight=False)
    else:
        console.print("Integers differ: export again.", style="red")
    differences, parts = [], None
    if module is not None:
        from adq.artifacts.float_comparison import compare_with_float, load_network, parting

        differences = compare_with_float(verification.artifact, load_network(module))
        parts = parting(differences, tolerance)
        console.print(_float_table(module, differences, tolerance))
        console.print(
            f"All layers are within {tolerance:g} of {module}."
            if parts is None
            else f"They part at {parts.node}: {parts.error:.3g} of its values there, beyond "
            f"{tolerance:g}.",
            style=None if parts is None else "red",
        )
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
            "module": module,
            "tolerance": tolerance if module else None,
            "layers": [each.to_json() for each in differences],
            "parts_at": parts.node if parts else None,
        },
    )
    console.print(f"Written: {path}", highlight=False)
    if not agrees or parts is not None:
        raise typer.Exit(1)


def _float_table(module: str, differences: "list[LayerDifference]", tolerance: float) -> "Table":
    """Return one row a layer."""
    from rich.table import Table

    table = Table(title=f"Integers beside {module} in floating point")
    table.add_column("layer")
    table.add_column("operation")
    table.add_column("relative difference", justify="right")
    for each in differences:
        style = None if each.error <= tolerance else "red"
        table.add_row(each.node, each.operation, f"{each.error:.2e}", style=style)
    return table


def _table(title: str, results: "list[Verified]") -> "Table":
    """Return a table with one row per node and one column per implementation."""
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
