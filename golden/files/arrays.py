"""Reading NumPy's files, ``.npy`` and ``.npz``, that may come from strangers.

Nothing is unpickled, and no memory is asked for that the file does not fill.
"""

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from adq.golden.files.reading import FileError, read_file

MAXIMUM_BYTES = 2**31
"""Largest file, and largest sum of what is packed in one."""


_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""Errors that a damaged archive raises, beside errors of values and of indices."""


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name; the one of a ``.npy`` file is named ``""``.

    Raises
    ------
    FileError
        It is no such file, is damaged, or holds something else than numbers.

    """
    data = read_file(path, MAXIMUM_BYTES)
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {"": _array(data, str(path))}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAXIMUM_BYTES:
                raise FileError(f"{path}: unpacks to more than {MAXIMUM_BYTES} bytes")
            return {
                member.filename.removesuffix(".npy"): _array(
                    _unpacked(archive, member), f"{path}: {member.filename}"
                )
                for member in members
            }
    except FileError:
        raise
    except (*_DAMAGE, ValueError, OSError) as error:
        raise FileError(f"{path}: is damaged: {error}") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read a member, of as many bytes as the archive says and no more."""
    with archive.open(member) as file:
        data = file.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise FileError(f"{member.filename}: has another size than its archive says")
    return data


def _array(data: bytes, where: str) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_columns, dtype = reader(stream)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise FileError(f"{where}: is no array of NumPy (.npy or .npz)") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise FileError(f"{where}: holds {dtype}, it must hold numbers")
    left = data[stream.tell() :]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(left):
        raise FileError(f"{where}: says shape {shape}, which its {len(left)} bytes do not fill")
    return np.frombuffer(left, dtype).reshape(shape, order="F" if by_columns else "C")
