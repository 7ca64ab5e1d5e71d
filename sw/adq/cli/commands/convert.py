"""`adq convert`: writes an artifact of an older format version in the newest one."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Golden artifact to convert.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the converted artifact.")],
) -> None:
    """Write an artifact of an older format version in the newest one.

    Skip multipliers of more than 16 bits are rounded to 16 bits and a shift, and the integers of
    the artifact's images are computed anew. Graphs are left out; `adq onnx` writes them again.
    """
    from adq.console import Console
    from adq.golden.artifact import read_artifact, write_artifact
    from adq.golden.conversion import converted

    found = converted(read_artifact(directory))
    write_artifact(out, found.artifact)
    console = Console(markup=False)
    if found.nodes:
        console.print(
            f"Rounded: skip multipliers of {', '.join(found.nodes)}. {found.differing:,} of "
            f"{found.activations:,} activations of {len(found.artifact.samples)} images are "
            f"another integer now; {found.differing_classes} images have another class.",
            highlight=False,
        )
    console.print(f"Written: {out}", highlight=False)
