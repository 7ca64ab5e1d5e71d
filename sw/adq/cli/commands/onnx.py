"""``adq onnx``: writes the ONNX graphs of an artifact."""

from pathlib import Path
from typing import Annotated

import typer


def onnx(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to convert.")],
    qonnx: Annotated[
        bool,
        typer.Option("--qonnx/--no-qonnx", help="Also write a QONNX graph of the integers."),
    ] = True,
    scaled: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Only write the network as QONNX with float scales, as Brevitas does, to this "
            "file: for qonnx, hls4ml and FINN.",
        ),
    ] = None,
) -> None:
    """Write the network of an artifact as ONNX graphs into the artifact's folder.

    The graphs compute the same integers as the artifact in every tensor; `adq verify` checks it.

    The file of --scaled computes with real numbers. Tools that generate hardware take it. Its
    quantizers round halves to even, so that single activations can differ by one.
    """
    from adq.artifacts.graphs import write_graphs, write_scaled
    from adq.console import Console

    console = Console(markup=False)
    if scaled is not None:
        write_scaled(directory, scaled, console)
    else:
        write_graphs(directory, ["onnx", "qonnx"] if qonnx else ["onnx"], console)
