"""The tile that a command simulates: a file, with sizes that replace the file's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rtl.parameters import TileParameters

__all__ = ["CACHE", "ColumnsOption", "ImagesOption", "RowsOption", "TileOption", "read_tile"]

CACHE = Path("build/models")
"""Where compiled models are kept, by content."""

TileOption = Annotated[
    Path, typer.Option("--tile", metavar="FILE", help="Tile parameters, as TOML.")
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


def read_tile(file: Path, rows: int | None, columns: int | None) -> "TileParameters":
    """Parameters of a file, with the sizes given on the command line.

    Raises
    ------
    rtl.parameters.ParameterError
        If the file cannot be read or the tile makes no sense.
    """
    from dataclasses import replace

    from rtl.parameters import TileParameters

    sizes = {"rows": rows, "columns": columns}
    given = {name: size for name, size in sizes.items() if size is not None}
    return replace(TileParameters.from_toml(file), **given)
