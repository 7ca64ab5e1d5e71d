"""``adq dev energy-fit``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.energy.fitting.fit import Error


def energy_fit(
    characterization: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `adq characterize` wrote.")
    ],
    library: Annotated[
        str,
        typer.Option(metavar="NAME", help="What --library of adq energy calls it; else its own."),
    ] = "",
    conditions: Annotated[
        str, typer.Option(metavar="TEXT", help="Node and corner, in words, beside its voltage.")
    ] = "",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the coefficients go, as JSON.")
    ] = Path("build/coefficients"),
) -> None:
    """Fit the energy model to a tile's gate-level characterization.

    Runs with the operands of trained layers are held out, and tell the error.
    """
    import dataclasses
    from datetime import UTC, datetime

    from adq.console import Console
    from adq.energy.fitting.fit import Records, errors, fit
    from adq.files import write_json

    console = Console()
    records = Records.read(characterization)
    library = library or records.library["name"]
    name = f"{library}-{records.tile.rows}x{records.tile.columns}"
    provenance = {
        "command": f"adq dev energy-fit {characterization} --library {library}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    model = fit(records, provenance=provenance)
    found = errors(model, records)
    console.print(_table(name, found))

    def worst(held_out: bool) -> float | None:
        return max((abs(e.relative) for e in found if e.held_out == held_out), default=None)

    unseen = [
        {"run": e.run, "window": e.window, "simulated_fj": e.simulated, "error": e.relative}
        for e in found
        if e.held_out
    ]
    model = dataclasses.replace(
        model,
        library=library,
        conditions=f"{conditions}, {model.conditions}" if conditions else model.conditions,
        provenance=model.provenance
        | {"fit_error": worst(False), "held_out_error": worst(True), "held_out": unseen},
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    write_json(path, model.to_json())
    console.print(f"Written: {path}", highlight=False)


def _table(name: str, found: list["Error"]) -> "Table":
    """The runs that were held out, and the worst of the others."""
    from rich.table import Table

    table = Table(title=f"{name}: model against gate level")
    table.add_column("run", overflow="fold")
    for heading in ("window", "gate level\npJ", "model\npJ", "error"):
        table.add_column(heading, justify="right", no_wrap=True)

    def add(error: "Error", name: str) -> None:
        table.add_row(
            name,
            error.window,
            *(f"{energy / 1000:,.1f}" for energy in (error.simulated, error.predicted)),
            f"{error.relative:+.2%}",
        )

    for error in found:
        if error.held_out:
            add(error, error.run)
    table.add_section()
    for window in ("compute", "load"):
        seen = [error for error in found if error.window == window and not error.held_out]
        if seen:
            worst = max(seen, key=lambda error: abs(error.relative))
            add(worst, f"worst of {len(seen)} that the fit has seen: {worst.run}")
    return table
