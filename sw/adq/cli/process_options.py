"""Option for the number of parallel processes."""

from typing import Annotated

import typer

__all__ = ["ProcessesOption"]

ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        metavar="N",
        min=1,
        help="Number of parallel processes. Default: the number of processors.",
    ),
]
