"""`adq dev formal`: proves properties of the hardware (`make formal`)."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ProcessesOption


def formal(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Run the proofs whose names begin with NAME. Default: all."
        ),
    ] = None,
    processes: ProcessesOption = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder of logs, traces and formal.json."),
    ] = Path("build/formal"),
) -> None:
    """Prove the properties of the hardware for all operands and all stream timings.

    The exit status is 1 if a property fails or holds vacuously, and 3 if none fails but some are
    undecided within the limit of processor time.
    """
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.signoff.formal.catalog import select
    from adq.verif.signoff.formal.runner import Result, check_all

    proofs = select(names or [])
    console = Console()
    started = time.monotonic()
    columns = (
        TextColumn("proofs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(proofs), last="")

        def finished(outcome):
            last = f"{outcome.proof.name}: {outcome.result}"
            progress.update(task, advance=1, last=last)

        outcomes = check_all(proofs, out.resolve(), processes=processes, finished=finished)

    table = Table(title="Proofs")
    table.add_column("proof", overflow="fold")
    table.add_column("mode")
    table.add_column("depth", justify="right")
    table.add_column("result", overflow="fold")
    table.add_column("CPU s", justify="right")
    for outcome in outcomes:
        proof = outcome.proof
        table.add_row(
            proof.name,
            proof.mode,
            str(proof.depth),
            outcome.result,
            f"{outcome.seconds:.1f}",
            style=None if outcome.result.good else "red",
        )
    console.print(table)
    for outcome in outcomes:
        if not outcome.result.good:
            trace = f"; trace: {outcome.trace}" if outcome.trace else ""
            line = f"{outcome.result} {outcome.proof.name}: {outcome.detail}{trace}"
            console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)

    passed = sum(outcome.result.good for outcome in outcomes)
    undecided = sum(outcome.result is Result.UNDECIDED for outcome in outcomes)
    failed = len(outcomes) - passed - undecided
    summary = {
        "proofs": [outcome.as_dict() for outcome in outcomes],
        "passed": passed,
        "undecided": undecided,
        "failed": failed,
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(out / "formal.json", summary)
    style = "red" if failed else "yellow" if undecided else "green"
    console.print(f"{passed} passed, {undecided} undecided, {failed} failed", style=style)
    if failed or undecided:
        raise typer.Exit(1 if failed else 3)
