"""TOML files of users: recipes, spaces, geometries."""

from pathlib import Path
from typing import Any

from adq.golden.files.reading import FileError, read_file
from adq.rtl.parameters import TomlError, parse_toml

MAXIMUM_BYTES = 2**20
"""Largest file that is read."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    FileError
        It is no plain file of a bearable size, or not TOML.
    OSError
        It is missing or cannot be read.

    """
    try:
        return parse_toml(read_file(path, MAXIMUM_BYTES))
    except TomlError as error:
        raise FileError(f"{path}: is not valid TOML: {error}") from None
