"""Folders of files as bytes, for the way between machines that share no file system."""

import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["read_folder", "write_folder"]


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read the plain files of a folder, without those of folders in it."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink()
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files in place of a folder.

    Raises
    ------
    ValueError
        If a name would lie elsewhere.
    """
    for name in files:
        if name != Path(name).name or name in ("", ".", ".."):
            raise ValueError(f"a worker gave a file {name!r}, which is no name of a file")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
