"""`adq dev bench-load`: time and memory against layers, channels and images."""

from pathlib import Path
from typing import Annotated

import typer

TARGET_SECONDS = 120
"""CPU time of VGG19: 60 s on 2 cores."""
TARGET_GIBIBYTES = 2 * 1e9 / 2**30


def bench_load(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Workload: vgg19, '100 layers'; or all."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the figures go, as JSON.")
    ] = Path("build/bench-load.json"),
) -> None:
    """Measure export, verify, map and energy on networks of 10 to 1,000 layers, and on VGG19.

    Seconds are of CPU time, which says the same on a busy machine. Exit status 1 if VGG19 takes
    more than its target.
    """
    from rich.table import Table

    from adq.benchmarks.load import COMMANDS, WORKLOADS, measure
    from adq.console import Console, print_whole
    from adq.files import write_json

    console = Console(markup=False)
    chosen = [each for each in WORKLOADS if not only or each.name in only]
    if not chosen:
        known = ", ".join(each.name for each in WORKLOADS)
        raise typer.BadParameter(f"no such workload: give one of {known}", param_hint="--only")
    table = Table(title="CPU seconds and GiB")
    for heading in ("workload", *COMMANDS):
        table.add_column(heading, justify="left" if heading == "workload" else "right")
    loads = []
    with console.status("starting") as status:
        for workload in chosen:
            found = []
            for load in measure(workload, out.with_suffix("")):
                found.append(load)
                status.update(f"{workload.name}: {load.command} done")
            cells = (f"{load.cpu_seconds:.1f} s {load.gibibytes:.2f}" for load in found)
            table.add_row(workload.name, *cells)
            loads += found
    print_whole(table, console)
    met = all(
        load.cpu_seconds <= TARGET_SECONDS and load.gibibytes <= TARGET_GIBIBYTES
        for load in loads
        if load.workload == "vgg19"
    )
    write_json(out, {"loads": [load.to_json() for load in loads], "met": met})
    console.print(f"Written: {out}", highlight=False)
    if not met:
        console.print("VGG19 misses its target.", style="red")
        raise typer.Exit(1)
