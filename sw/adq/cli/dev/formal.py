"""`adq dev formal`: proofs of the hardware, behind `make formal`."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ProcessesOption


def formal(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Proofs whose names begin so; all by default."),
    ] = None,
    processes: ProcessesOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where logs, traces and formal.json go.")
    ] = Path("build/formal"),
) -> None:
    """Prove what the hardware promises, for all operands and all patterns of waiting.

    Exit status 1 if a claim does not hold, is not decided, or holds for want of cases.
    """
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.verif.signoff.formal.catalog import select
    from adq.verif.signoff.formal.runner import check_all

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
    table.add_column("s", justify="right")
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

    failed = sum(not outcome.result.good for outcome in outcomes)
    passed = len(outcomes) - failed
    summary = {
        "proofs": [outcome.as_dict() for outcome in outcomes],
        "passed": passed,
        "failed": failed,
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(out / "formal.json", summary)
    console.print(f"{passed} passed, {failed} failed", style="red" if failed else "green")
    if failed:
        raise typer.Exit(1)
