"""`adq dev bench-golden`: compares the speed of the integer network with other libraries."""

from pathlib import Path
from typing import Annotated

import typer

TARGET_RATIO = 0.5
TARGET_SECONDS = 60
TARGET_GIBIBYTES = 4


def bench_golden(
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images per batch.")] = 64,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of rounds, of one batch each.")
    ] = 7,
    images: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Sample images in the artifact that is written."),
    ] = 50,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Output file of the figures (JSON).")
    ] = Path("build/bench-golden.json"),
) -> None:
    """Measure the speed of integer VGG19 and ResNet18 in NumPy, ONNX Runtime and float PyTorch.

    Images are 32x32. The exit status is 1 if a figure misses its target.
    """
    from rich.table import Table

    from adq.benchmarks.golden import NETWORKS, measure_export, measure_speed
    from adq.console import Console, print_whole
    from adq.files import write_json

    console = Console()
    out.parent.mkdir(parents=True, exist_ok=True)
    with console.status("starting") as status:
        speeds = [
            measure_speed(name, batch=batch, rounds=rounds, progress=status.update)
            for name in NETWORKS
        ]
        status.update(f"writing VGG19 with {images} images")
        export = measure_export("vgg19", out.with_suffix("") / "vgg19", images=images)

    cores = speeds[0].cores
    table = Table(title=f"Images a second: batches of {batch}, {cores} cores")
    table.add_column("network")
    for heading in ("MACs", "NumPy", "ONNX Runtime", "PyTorch fp32", "NumPy / ONNX", "target"):
        table.add_column(heading, justify="right")
    table.add_column("logits that differ", justify="right")
    for speed in speeds:
        table.add_row(
            speed.network,
            f"{speed.macs:,}",
            f"{speed.numpy:.1f}",
            f"{speed.onnx_runtime:.1f}",
            f"{speed.pytorch:.1f}",
            f"{speed.against_onnx_runtime:.2f}",
            f">= {TARGET_RATIO}",
            f"{speed.differing_logits}",
        )
    print_whole(table, console)
    most_bytes = 1.2 * export.integer_bytes + 100_000
    console.print(
        f"{export.network} with {export.images} images and both graphs written in "
        f"{export.seconds:.1f} s (at most {TARGET_SECONDS}) and {export.gibibytes:.2f} GiB (at "
        f"most {TARGET_GIBIBYTES}); {export.artifact_bytes:,} bytes without the graphs, "
        f"{export.integer_bytes:,} of integers",
        highlight=False,
    )
    met = (
        all(s.against_onnx_runtime >= TARGET_RATIO and not s.differing_logits for s in speeds)
        and export.seconds <= TARGET_SECONDS
        and export.gibibytes <= TARGET_GIBIBYTES
        and export.artifact_bytes <= most_bytes
    )
    figures = {"speeds": [s.to_json() for s in speeds], "export": export.to_json(), "met": met}
    write_json(out, figures)
    console.print(f"Written: {out}", highlight=False)
    if not met:
        console.print("A figure misses its target.", style="red")
        raise typer.Exit(1)
