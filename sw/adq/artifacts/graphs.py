"""ONNX graphs of an artifact, with their progress and what was written."""

from pathlib import Path

from rich.markup import escape

from adq.console import Console
from adq.files import write_bytes
from adq.golden.artifact import GRAPHS, Dialect, read_artifact
from adq.golden.onnx.check import OnnxError
from adq.golden.onnx.graph import add_graphs
from adq.golden.onnx.scaled import build_scaled

__all__ = ["write_graphs", "write_scaled"]


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


def write_scaled(directory: Path, path: Path, console: Console) -> None:
    """Write an artifact's network as QONNX with float scales into a file, and say so.

    Raises
    ------
    adq.golden.samples.ArtifactError
        The artifact cannot be read.
    adq.golden.onnx.check.OnnxError
        A node has no form in QONNX with float scales, or the file would be one of the artifact.

    """
    data = build_scaled(read_artifact(directory).network).SerializeToString()
    if path.is_dir() or path.resolve().parent == directory.resolve():
        raise OnnxError(f"{path}: name a file outside of the artifact's folder, such as x.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
    console.print(f"Written: {path}, {len(data):,} bytes", highlight=False)
