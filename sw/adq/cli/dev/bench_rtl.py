"""`adq dev bench-rtl`: compares figures of the hardware with their targets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adq.cli.tile_options import CACHE

if TYPE_CHECKING:
    from rich.table import Table

    from adq.verif.bench.figures import Figure


def bench_rtl(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="GROUP",
            help="Measure only this group: build, efficiency, loads, idle, simulation or "
            "synthesis. May be repeated.",
        ),
    ] = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            "--liberty",
            metavar="FILE",
            help="Liberty file of the cell library, for area and clock.",
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option("--repeats", metavar="N", min=1, help="Number of runs of each simulation."),
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the operands.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Output file of the figures (JSON).")
    ] = Path("build/bench-rtl.json"),
) -> None:
    """Measure array utilization, simulation and build times, area and clock of the tile.

    The exit status is 1 if a figure misses its target.
    """
    from adq.console import Console, print_whole
    from adq.files import write_json
    from adq.verif.bench.suite import GROUPS, RtlBench

    for group in only or ():
        if group not in GROUPS:
            raise typer.BadParameter(f"{group!r} is none of {', '.join(GROUPS)}", param_hint="only")
    out.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    with console.status("starting") as status:
        bench = RtlBench(
            directory=out.with_suffix(""),
            cache=CACHE,
            liberty=liberty,
            repeats=repeats,
            seed=seed,
            progress=status.update,
        )
        bench.run(only or GROUPS)
    figures = bench.figures
    write_json(
        out, {"figures": [figure.to_json() for figure in figures], "seed": seed, **bench.details}
    )
    if "efficiency" in bench.details:
        console.print(_efficiency_table(bench.details["efficiency"]))
    if "loads" in bench.details:
        console.print(_loads_table(bench.details["loads"]))
    table = _figures_table(figures)
    print_whole(table, console)
    missed = sum(figure.met is False for figure in figures)
    console.print(f"Written: {out}", highlight=False)
    if missed:
        console.print(f"{missed} of {len(figures)} figures miss their target", style="red")
        raise typer.Exit(1)


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _figures_table(figures: list["Figure"]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    marks = {True: Text("met", style="green"), False: Text("MISSED", style="bold red"), None: "-"}
    table = Table(title="Figures of the hardware")
    table.add_column("figure")
    table.add_column("tile", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    table.add_column("conditions")
    for figure in figures:
        measured = "not measured"
        if figure.value is not None:
            measured = f"{_number(figure.value)} {figure.unit}".strip()
        target = "-"
        if figure.at_least is not None:
            target = f">= {figure.at_least:g}"
        elif figure.at_most is not None:
            target = f"<= {figure.at_most:g}"
        table.add_row(
            figure.name, figure.tile, measured, target, marks[figure.met], figure.conditions
        )
    return table


def _efficiency_table(rows: list[dict]) -> "Table":
    from rich.table import Table

    weight_widths = sorted({row["weight_bits"] for row in rows})
    table = Table(title="Bit products done / (measured cycles * rows * columns)")
    table.add_column("activation bits", justify="right")
    for weight_bits in weight_widths:
        table.add_column(f"kw = {weight_bits}", justify="right")
    for activation_bits in sorted({row["activation_bits"] for row in rows}):
        line = [r for r in rows if r["activation_bits"] == activation_bits]
        by_width = {row["weight_bits"]: f"{row['by_cycles']:.4f}" for row in line}
        table.add_row(str(activation_bits), *(by_width[width] for width in weight_widths))
    return table


def _loads_table(edges: list[dict]) -> "Table":
    from rich.table import Table

    blocks = sorted({edge["row_blocks"] for edge in edges})
    table = Table(title="Fewest vectors a weight load with which the array never waits")
    table.add_column("activation bits", justify="right")
    for count in blocks:
        table.add_column(f"{count} load{'s' * (count > 1)} a job", justify="right")
    for activation_bits in sorted({edge["activation_bits"] for edge in edges}):
        line = [e for e in edges if e["activation_bits"] == activation_bits]
        by_blocks = {edge["row_blocks"]: str(edge["measured"]) for edge in line}
        table.add_row(str(activation_bits), *(by_blocks[count] for count in blocks))
    return table
