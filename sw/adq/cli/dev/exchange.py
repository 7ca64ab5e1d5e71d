"""``adq dev exchange``: compares imported networks with their files on a thousand images."""

from pathlib import Path
from typing import Annotated

import typer


def exchange(
    files: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Quantized ONNX files.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Output file of the comparison (JSON).")
    ] = Path("build/exchange.json"),
) -> None:
    """Import ONNX files of handwritten digits, and compare every node with the file's own integers.

    The images are the last 1,000 of scikit-learn's digits. The exit status is 1 if a sum differs.
    """
    from rich.table import Table

    from adq.benchmarks.imported_networks import compare_files
    from adq.console import Console
    from adq.files import write_json

    console = Console()
    with console.status("running the files"):
        found = list(compare_files(files))
    table = Table(title="Imported networks beside their files")
    for heading in ("file", "sums differ", "activations differ", "classes differ", "right"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for each in found:
        table.add_row(
            each["file"],
            f"{each['differing_sums']:,} of {each['sums']:,}",
            f"{each['differing_activations']:,} of {each['activations']:,}",
            f"{each['differing_classes']:,} of {each['images']:,}",
            f"{each['right']:.1%}",
        )
    console.print(table)
    write_json(out, {"files": found})
    console.print(f"Written: {out}", highlight=False)
    if any(each["differing_sums"] for each in found):
        raise typer.Exit(1)
