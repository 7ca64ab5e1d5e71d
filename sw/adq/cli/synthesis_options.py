"""Options of mapping a tile to a library's cells."""

from typing import Annotated

import typer

__all__ = ["OrderPinsOption", "PeriodOption"]

OrderPinsOption = Annotated[
    bool,
    typer.Option(
        "--order-pins",
        help="Where larger cells alone miss the period, put nets that arrive late on the fast "
        "inputs of adders and gates.",
    ),
]
PeriodOption = Annotated[
    float,
    typer.Option("--period", metavar="NS", min=0.01, help="Clock period that cells are sized for."),
]
