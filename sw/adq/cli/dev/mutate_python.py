"""`adq dev mutate-python`: mutants of the integer reference and the numeric code."""

from pathlib import Path
from typing import Annotated

import typer

TARGET = 0.9
"""Share of mutants that the tests should kill."""


def mutate_python(
    only: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Modules or functions; all by default."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="N", min=1, help="At a time; one a processor."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where mutmut works, and the JSON goes.")
    ] = Path("build/mutation-python"),
) -> None:
    """Change the integer reference and the numeric code by mutmut, and see that tests notice.

    Exit status 1 if fewer than 90 % of the mutants are killed.
    """
    import os
    import time

    from rich.table import Table

    from adq.console import Console
    from adq.files import write_json
    from adq.signoff.python_mutants import by_module, run_mutmut

    console = Console()
    started = time.monotonic()
    mutants = run_mutmut(out / "work", only or [], processes=processes or os.cpu_count() or 1)
    mutants = [mutant for mutant in mutants if mutant.fate != "not checked"]
    table = Table(title="Mutants in Python")
    table.add_column("module", overflow="fold")
    for heading in ("mutants", "killed", "survived", "no tests", "score"):
        table.add_column(heading, justify="right")
    modules = []
    for module, fates in by_module(mutants).items():
        own = [mutant for mutant in mutants if mutant.module == module]
        killed = sum(mutant.killed for mutant in own)
        modules.append({**fates, "module": module, "mutants": len(own), "killed": killed})
        score = f"{killed / len(own):.1%}"
        row = (len(own), killed, fates["survived"], fates["no tests"], score)
        table.add_row(module, *map(str, row))
    killed = sum(mutant.killed for mutant in mutants)
    score = killed / len(mutants) if mutants else None
    console.print(table)
    for mutant in mutants:
        if not mutant.killed:
            console.print(f"{mutant.fate} {mutant.name}", markup=False, highlight=False)
    write_json(
        out / "mutation-python.json",
        {
            "killed": killed,
            "mutants": len(mutants),
            "score": score,
            "modules": modules,
            "alive": [{"name": m.name, "fate": m.fate} for m in mutants if not m.killed],
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    good = score is not None and score >= TARGET
    said = f"{killed} of {len(mutants)} mutants killed"
    console.print(said, style="green" if good else "red", highlight=False)
    console.print(
        f"The change of one: cd {out / 'work'} && mutmut show NAME", markup=False, highlight=False
    )
    if not good:
        raise typer.Exit(1)
