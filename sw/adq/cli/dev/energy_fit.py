"""``adq dev energy-fit``: fits the energy model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adq.energy.fitting.fit import Error


def energy_fit(
    characterizations: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Summaries written by `adq characterize`, one for each size."
        ),
    ],
    library: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Name for the --library option of `adq energy`. Default: the library's own name.",
        ),
    ] = "",
    conditions: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Description of node and corner, shown with the voltage."
        ),
    ] = "",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Output folder of the coefficients (JSON).")
    ] = Path("build/coefficients"),
) -> None:
    """Fit the energies of counted switching and the predictor to the gate-level characterization.

    Runs with the operands of trained layers are held out of the fit and measure its error. Of
    several sizes, each is left out once and interpolated from the others.
    """
    import dataclasses
    from datetime import UTC, datetime

    from adq.console import Console
    from adq.energy.coefficients import blended
    from adq.energy.fitting.fit import Records, counted_errors, errors, fit, largest_difference
    from adq.energy.fitting.sizes import distance_to, is_inside
    from adq.energy.gate_level.characterization_table import mac_energies
    from adq.files import write_json

    console = Console()
    characterized = [Records.read(path) for path in characterizations]
    library = library or characterized[0].library["name"]
    fitted = []
    for path, records in zip(characterizations, characterized, strict=True):
        name = f"{library}-{records.tile.name}"
        provenance = {
            "command": f"adq dev energy-fit {path.name} --library {library}",
            "date": datetime.now(UTC).date().isoformat(),
        }
        model = fit(records, provenance=provenance)
        counted, predicted = counted_errors(model.counted, records), errors(model, records)
        half, any_value, leakage = mac_energies(records.runs, records.period_ns)
        console.print(_table(f"{name}: counted energy against gate level", counted))
        console.print(_table(f"{name}: energy of features against gate level", predicted))
        fitted.append(
            dataclasses.replace(
                model,
                library=library,
                conditions=f"{conditions}, {model.conditions}" if conditions else model.conditions,
                provenance=model.provenance
                | {
                    "counted_fit_error": _worst(counted, held_out=False),
                    "counted_held_out_error": _worst(counted, held_out=True),
                    "counted_held_out": _told(counted),
                    "fit_error": _worst(predicted, held_out=False),
                    "held_out_error": _worst(predicted, held_out=True),
                    "held_out": _told(predicted),
                    "difference": largest_difference(predicted, counted),
                    "nets": records.nets,
                    "mac_fj": {"half_zero": half, "any_value": any_value, "leakage": leakage},
                },
            )
        )
    out.mkdir(parents=True, exist_ok=True)
    sizes = [(records.tile.rows, records.tile.columns) for records in characterized]
    for place, (records, model) in enumerate(zip(characterized, fitted, strict=True)):
        size = records.tile.name
        others = [each for i, each in enumerate(fitted) if i != place]
        if others:
            left_out = blended(others, records.tile)
            counted, predicted = (
                counted_errors(left_out.counted, records),
                errors(left_out, records),
            )
            other_sizes = [each for i, each in enumerate(sizes) if i != place]
            measured = {
                "left_out_error": _worst(counted, held_out=True),
                "left_out_predictor_error": _worst(predicted, held_out=True),
                "left_out_difference": largest_difference(predicted, counted),
                "left_out_from": left_out.scaled_from,
                "left_out_inside": is_inside(other_sizes, sizes[place]),
                "left_out_distance": distance_to(other_sizes, sizes[place]),
                "left_out_leakage_error": left_out.leakage_nw / model.leakage_nw - 1,
            }
            model = dataclasses.replace(model, provenance=model.provenance | measured)
            console.print(
                f"{size} left out, from {left_out.scaled_from}: counted energy at most "
                f"{measured['left_out_error']:.1%} off, that of features "
                f"{measured['left_out_predictor_error']:.1%}, leakage "
                f"{measured['left_out_leakage_error']:+.1%}",
                highlight=False,
            )
        path = out / f"{library}-{size}.json"
        write_json(path, model.to_json())
        console.print(f"Written: {path}", highlight=False)


def _worst(found: Sequence["Error"], *, held_out: bool) -> float | None:
    return max((abs(e.relative) for e in found if e.held_out == held_out), default=None)


def _told(found: Sequence["Error"]) -> list[dict]:
    """Return the errors of the runs that were held out."""
    return [
        {"run": e.run, "window": e.window, "simulated_fj": e.simulated, "error": e.relative}
        for e in found
        if e.held_out
    ]


def _table(title: str, found: list["Error"]) -> "Table":
    """Return the runs that were held out, and the worst of the others."""
    from rich.table import Table

    table = Table(title=title)
    table.add_column("run", overflow="fold")
    for heading in ("window", "gate level\npJ", "told\npJ", "error"):
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
