"""`adq dev mutate-python`: tests mutants of the integer reference and the numeric code."""

from pathlib import Path
from typing import Annotated

import typer

from adq.cli.process_options import ProcessesOption

TARGET = 0.9
"""Share of mutants that the tests should kill."""


def mutate_python(
    only: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Mutate only these modules or functions. Default: all."
        ),
    ] = None,
    processes: ProcessesOption = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Work folder of mutmut and of the result (JSON)."
        ),
    ] = Path("build/mutation-python"),
) -> None:
    """Mutate the integer reference and the numeric code, and check that the tests kill the mutants.

    The mutants are made by mutmut. The exit status is 1 if less than 90 % are killed.
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
