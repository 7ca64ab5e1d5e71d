"""Files that ``torch.save`` wrote, read so that they ask for nothing beyond their own size."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from adq.golden.files.reading import FileError, open_file

__all__ = ["read_torch"]

MAXIMUM_BYTES = 2**36
"""Largest file that is read."""


def read_torch(path: Path, what: str, *, archives_only: bool = True) -> Any:
    """Read tensors and plain values onto the CPU; nothing else is unpickled.

    Parameters
    ----------
    what
        Name of what the file should be, for the message.
    archives_only
        Refuse files as PyTorch wrote them before version 1.6, which are no zip archives.

    Raises
    ------
    FileError
        The file is damaged, no such file, or no plain file. The message begins with the path.
    FileNotFoundError
        It is not there.

    """
    try:
        with open_file(path, MAXIMUM_BYTES) as file:
            if archives_only or zipfile.is_zipfile(file):
                _check_parts(file)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except (FileError, FileNotFoundError):
        raise
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        LookupError,
        ValueError,
        AttributeError,
        TypeError,
        MemoryError,
        NotImplementedError,
        zipfile.BadZipFile,
    ):
        raise FileError(f"{path}: is damaged or no {what}") from None


def _check_parts(file: BinaryIO) -> None:
    """Hold each part of an archive against the file's size and against its checksum.

    PyTorch writes both and looks at neither: a part that claims to be larger than the file would
    have its memory asked for.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as parts:
        listed = parts.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in listed)
        if packed or sum(part.file_size for part in listed) > size:
            raise zipfile.BadZipFile
        damaged = parts.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(damaged)
