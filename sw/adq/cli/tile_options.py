"""The tile that a command simulates: a file, with sizes that replace the file's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adq.rtl.parameters import TileParameters

__all__ = [
    "CACHE",
    "DEFAULT_TILE",
    "ColumnsOption",
    "ImagesOption",
    "RowsOption",
    "TileOption",
    "read_tile",
]

CACHE = Path("build/models")
"""Where compiled models are kept, by content."""

DEFAULT_TILE = "64x64"

TileOption = Annotated[
    str,
    typer.Option(
        "--tile", metavar="NAME|FILE", help="Tile: one that comes with adq, or a TOML file."
    ),
]
RowsOption = Annotated[
    int | None, typer.Option("--rows", metavar="N", help="Rows, in place of the file's.")
]
ColumnsOption = Annotated[
    int | None,
    typer.Option("--columns", metavar="N", help="Bit columns, in place of the file's."),
]
ImagesOption = Annotated[
    int | None,
    typer.Option("--images", metavar="N", min=1, help="Sample images; all where left out."),
]


def read_tile(tile: str, rows: int | None, columns: int | None) -> "TileParameters":
    """Read the parameters of a tile, with the sizes given on the command line.

    Raises
    ------
    adq.shipped.ShippedFileError
        If no tile of this name comes with the package.
    adq.rtl.parameters.ParameterError
        If the file cannot be read or the tile makes no sense.
    """
    from dataclasses import replace

    from adq.rtl.parameters import TileParameters
    from adq.shipped import find_shipped

    sizes = {"rows": rows, "columns": columns}
    given = {name: size for name, size in sizes.items() if size is not None}
    return replace(TileParameters.from_toml(find_shipped("tile", tile)), **given)
