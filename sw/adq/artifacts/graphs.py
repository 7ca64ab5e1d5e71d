"""ONNX graphs of an artifact, with their progress and what was written."""

from pathlib import Path

from rich.markup import escape

from adq.console import Console
from adq.golden.artifact import GRAPHS
from adq.golden.onnx.graph import Dialect, add_graphs

__all__ = ["write_graphs"]


def write_graphs(directory: Path, dialects: list[Dialect], console: Console) -> None:
    """Write graphs into an artifact's folder, and say so.

    Raises
    ------
    adq.golden.samples.ArtifactError
        The artifact cannot be read.

    """
    with console.status(f"{escape(str(directory))}: writing {' and '.join(dialects)}"):
        add_graphs(directory, dialects)
    for dialect in dialects:
        path = directory / GRAPHS[dialect]
        console.print(f"Written: {path}, {path.stat().st_size:,} bytes", highlight=False)
