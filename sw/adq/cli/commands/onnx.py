"""``adq onnx``"""

from pathlib import Path
from typing import Annotated

import typer


def onnx(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact.")],
    qonnx: Annotated[
        bool, typer.Option("--qonnx/--no-qonnx", help="Also the graph in QONNX, for FINN, hls4ml.")
    ] = True,
) -> None:
    """Write an artifact's network as ONNX graphs into its folder.

    They compute the artifact's integers, every tensor of them; `adq verify` shows it.
    """
    from adq.artifacts.graphs import write_graphs
    from adq.console import Console

    write_graphs(directory, ["onnx", "qonnx"] if qonnx else ["onnx"], Console(markup=False))
