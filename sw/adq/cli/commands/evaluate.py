"""``adq evaluate``: evaluates a trained network on the test set."""

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/digits.")],
    integer: Annotated[
        bool, typer.Option("--integer", help="Also evaluate the integer network.")
    ] = False,
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
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Also compare every integer with ONNX Runtime."),
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the result (JSON).")
    ] = Path("build/evaluate"),
) -> None:
    """Evaluate a trained network, and optionally its integer network, on the whole test set.

    The exit status is 1 if an integer differs between NumPy and ONNX Runtime.
    """
    from rich.markup import escape
    from rich.table import Table

    from adq.cli.result_path import result_path
    from adq.console import Console
    from adq.files import write_json
    from adq.runs.run import Run

    console, name = Console(markup=False), escape(str(run))
    folder = Run.open(run)
    with console.status(f"{name}: evaluating") as status:
        from adq.runs.integer_evaluation import (
            Evaluation,
            evaluate_integers,
            evaluate_trained,
            other_data_note,
        )

        in_integers = (
            evaluate_integers(folder, bits=bits, iteration=iteration) if integer or onnx else None
        )
        evaluation: Evaluation = (
            evaluate_trained(folder, bits=bits, iteration=iteration)
            if in_integers is None
            else in_integers
        )
        verified = None
        if onnx and in_integers is not None:
            from adq.artifacts.verification import verify_onnx

            for verified in verify_onnx(in_integers.network, in_integers.inputs):
                status.update(f"{name}: {verified.images} of {len(evaluation)} images by ONNX")

    if evaluation.other_data:
        console.print(other_data_note(evaluation.other_data), style="yellow")
    figures = evaluation.to_json()
    table = Table(title=f"{run}: {evaluation.name}, {len(evaluation):,} test images")
    row = {"as trained": f"{evaluation.accuracy:.2%}"}
    if in_integers is not None:
        share = in_integers.differing_classes / len(evaluation)
        row["in integers"] = f"{in_integers.integer_accuracy:.2%}"
        row["classes that differ"] = f"{in_integers.differing_classes} ({share:.2%})"
    for heading in row:
        table.add_column(heading, justify="right")
    table.add_row(*row.values())
    console.print(table)
    if verified is not None:
        integers = sum(node.integers for node in verified.nodes)
        differing = sum(node.differing for node in verified.nodes)
        console.print(
            f"ONNX Runtime: {differing:,} of {integers:,} integers differ from NumPy's",
            style=None if verified.agrees else "red",
        )
    path = result_path(run, out)
    result: dict[str, Any] = {
        "run": str(run),
        "checkpoint": evaluation.checkpoint,
        "bits": bits,
        "iteration": iteration,
    }
    result |= figures
    result["onnx"] = None if verified is None else verified.to_json()
    write_json(path, result)
    console.print(f"Written: {path}", highlight=False)
    if verified is not None and not verified.agrees:
        raise typer.Exit(1)
