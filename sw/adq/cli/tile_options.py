"""Options that select the tile: a name or file, and sizes that override it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adq.energy.default_library import LIBRARY

if TYPE_CHECKING:
    from adq.rtl.parameters import TileParameters

__all__ = [
    "CACHE",
    "DEFAULT_TILE",
    "LIBRARY",
    "ColumnsOption",
    "ImagesOption",
    "LibraryOption",
    "RowsOption",
    "TileOption",
    "read_tile",
]

CACHE = Path("build/models")
"""Cache folder of compiled simulation models, addressed by content."""

DEFAULT_TILE = "64x64"

TileOption = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="NAME|FILE",
        help="Tile parameters: the name of a tile shipped with adq, or a TOML file.",
    ),
]
RowsOption = Annotated[
    int | None, typer.Option("--rows", metavar="N", help="Override the rows of the tile.")
]
ColumnsOption = Annotated[
    int | None,
    typer.Option("--columns", metavar="N", help="Override the bit columns of the tile."),
]
ImagesOption = Annotated[
    int | None,
    typer.Option(
        "--images", metavar="N", min=1, help="Number of sample images to run. Default: all."
    ),
]
LibraryOption = Annotated[
    str,
    typer.Option(
        "--library",
        metavar="NAME",
        help="Cell library of the energies: nangate45, the same as placed (nangate45-placed) or "
        "with weights in latches (nangate45-latches), or sky130hd.",
    ),
]


def read_tile(tile: str, rows: int | None, columns: int | None) -> "TileParameters":
    """Read the parameters of a tile. ``rows`` and ``columns`` override those of the file.

    Raises
    ------
    adq.shipped.ShippedFileError
        If the package ships no tile of this name.
    adq.rtl.parameters.ParameterError
        If the file cannot be read or a parameter is invalid.
    """
    from dataclasses import replace

    from adq.rtl.parameters import TileParameters
    from adq.shipped import find_shipped

    parameters = TileParameters.from_toml(find_shipped("tile", tile))
    return replace(
        parameters,
        rows=parameters.rows if rows is None else rows,
        columns=parameters.columns if columns is None else columns,
    )
