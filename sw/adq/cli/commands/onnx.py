"""``adq onnx``: writes the ONNX graphs of an artifact."""

from pathlib import Path
from typing import Annotated

import typer


def onnx(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to convert.")],
    qonnx: Annotated[
        bool,
        typer.Option("--qonnx/--no-qonnx", help="Also write a QONNX graph (FINN, hls4ml)."),
    ] = True,
) -> None:
    """Write the network of an artifact as ONNX graphs into the artifact's folder.

    The graphs compute the same integers as the artifact in every tensor; `adq verify` checks it.
    """
    from adq.artifacts.graphs import write_graphs
    from adq.console import Console

    write_graphs(directory, ["onnx", "qonnx"] if qonnx else ["onnx"], Console(markup=False))
