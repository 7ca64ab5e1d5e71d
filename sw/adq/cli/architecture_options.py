"""The architecture that a command tells something of: its name, precisions and channels."""

from typing import Annotated

import typer

__all__ = ["ArchOption", "BitsOption", "ChannelsOption", "ClassesOption", "ShapeOption"]

ArchOption = Annotated[
    str | None, typer.Option("--arch", metavar="NAME", help="An architecture, such as vgg19.")
]
BitsOption = Annotated[
    str, typer.Option("--bits", metavar="N,...", help="Its precision, or one a layer.")
]
ChannelsOption = Annotated[
    str,
    typer.Option(
        "--channels", metavar="N,...", help="Its output channels, of each layer but the last."
    ),
]
ShapeOption = Annotated[str, typer.Option("--input", metavar="CxHxW", help="Its images.")]
ClassesOption = Annotated[int, typer.Option("--classes", metavar="N", min=1, help="Its classes.")]
