"""How many things a command does at a time."""

from typing import Annotated

import typer

__all__ = ["ProcessesOption"]

ProcessesOption = Annotated[
    int | None,
    typer.Option("--processes", metavar="N", min=1, help="At a time; one a processor."),
]
