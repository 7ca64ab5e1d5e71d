"""Options that describe an architecture: name, precisions, channels, input and classes."""

from typing import Annotated

import typer

__all__ = ["ArchOption", "BitsOption", "ChannelsOption", "ClassesOption", "ShapeOption"]

ArchOption = Annotated[
    str | None,
    typer.Option("--arch", metavar="NAME", help="Also evaluate an architecture, such as vgg19."),
]
BitsOption = Annotated[
    str,
    typer.Option(
        "--bits",
        metavar="N,...",
        help="Bits of the architecture: one number, or one number per layer.",
    ),
]
ChannelsOption = Annotated[
    str,
    typer.Option(
        "--channels",
        metavar="N,...",
        help="Output channels of each layer of the architecture except the last.",
    ),
]
ShapeOption = Annotated[
    str,
    typer.Option("--input", metavar="CxHxW", help="Input shape of the architecture, CxHxW."),
]
ClassesOption = Annotated[
    int,
    typer.Option(
        "--classes", metavar="N", min=1, help="Number of output classes of the architecture."
    ),
]
