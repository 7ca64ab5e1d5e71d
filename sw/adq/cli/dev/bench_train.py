"""`adq dev bench-train`: compares speed and memory of training with other libraries."""

from pathlib import Path
from typing import Annotated

import typer

LEAST = {"speed of plain": 0.85, "speed of Brevitas": 1.4}
MOST = {"memory of plain": 1.2}


def bench_train(
    network: Annotated[
        str, typer.Option(help="Architecture without residual connections, such as vgg9.")
    ] = "vgg9",
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Images per step.")] = 128,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of rounds of each training.")
    ] = 7,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Steps per round.")] = 2,
    device: Annotated[str, typer.Option(help="Device: cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Number of CPU threads.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Output file of the figures (JSON).")
    ] = Path("build/bench-train.json"),
) -> None:
    """Measure speed and memory of training: plain float32, this package, and Brevitas.

    The exit status is 1 if a figure misses its target.
    """
    import importlib.metadata
    import os
    import statistics

    import torch
    from rich.table import Table

    from adq.benchmarks import training as bench
    from adq.console import Console
    from adq.files import write_json
    from adq.training.processes import find_device

    console = Console()
    where = find_device(device)
    torch.set_num_threads(threads)
    with console.status("starting") as status:
        speeds = bench.measure_speed(
            network, batch, where, rounds=rounds, steps=steps, progress=status.update
        )
        memory = {}
        for kind in bench.KINDS:
            status.update(f"memory, {kind}")
            memory[kind] = bench.measure_memory_apart(kind, network, batch, str(where), threads)
    measured = bench.ratios(speeds, memory)
    conditions = {
        "network": network,
        "middle_bits": bench.MIDDLE_BITS,
        "batch": batch,
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU",
        "threads": threads,
        "rounds": rounds,
        "steps": steps,
        "load_average": os.getloadavg()[0],
        "torch": torch.__version__,
        "brevitas": importlib.metadata.version("brevitas"),
    }

    title = "{network}, batches of {batch}, {device}, {threads} threads, load {load_average:.1f}"
    table = Table(title=title.format(**conditions))
    table.add_column("training")
    for heading in ("images/s, median", "least", "most", "peak memory, MiB"):
        table.add_column(heading, justify="right")
    for kind, values in speeds.items():
        figures = (statistics.median(values), min(values), max(values), memory[kind] / 2**20)
        table.add_row(kind, *(f"{figure:.0f}" for figure in figures))
    console.print(table)
    table = Table(title=f"Ours, with densities and {bench.MIDDLE_BITS} bits in the middle layers")
    table.add_column("figure")
    for heading in ("measured", "target", ""):
        table.add_column(heading, justify="right")
    missed = 0
    for name, value in measured.items():
        at_least = name in LEAST
        met = value >= LEAST[name] if at_least else value < MOST[name]
        target = f">= {LEAST[name]}" if at_least else f"< {MOST[name]}"
        missed += not met
        mark = "[green]met[/]" if met else "[red]MISSED[/]"
        table.add_row(name, f"{value:.2f}x", f"{target}x", mark)
    console.print(table)

    out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"images_per_second": speeds, "peak_memory_bytes": memory, "ratios": measured}
    write_json(out, {"conditions": conditions, **figures})
    console.print(f"Written: {out}", highlight=False)
    if missed:
        raise typer.Exit(1)
