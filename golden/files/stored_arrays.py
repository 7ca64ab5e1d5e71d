"""Integers in files, read where a part of them is taken, so that memory does not grow with them."""

import hashlib
import math
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from adq.golden.files.reading import FileError

BLOCK = 2**16
"""Bytes that are checked at a time."""

CHUNK_BYTES = 2**20
"""Bytes of an array that are taken at a time where all of it is gone through."""


class Source(Protocol):
    """A file that holds arrays."""

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of the file."""


class CheckedFile:
    """A file whose content stays what it was when its checksum was taken.

    The file is read through once, for its sha256 and for a digest of each block. What is read
    later is held against these digests, so that what was checked is what is used, without a copy
    of the file in memory.

    Takes over the descriptor of a plain file.

    Raises
    ------
    FileError
        The file has not as many bytes as it said.

    """

    def __init__(self, path: str, descriptor: int):
        self.path = path
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self.size = os.fstat(descriptor).st_size
        self._digests: list[bytes] = []
        whole = hashlib.sha256()
        for first in range(0, self.size, BLOCK):
            block = os.pread(descriptor, min(BLOCK, self.size - first), first)
            whole.update(block)
            self._digests.append(_digest(block))
        self.sha256 = whole.hexdigest()

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of the file.

        Raises
        ------
        FileError
            The file has changed.

        """
        first, last = offset // BLOCK, -(-(offset + size) // BLOCK)
        end = min(last * BLOCK, self.size)
        data = os.pread(self._descriptor, end - first * BLOCK, first * BLOCK)
        for place, digest in enumerate(self._digests[first:last]):
            if _digest(data[place * BLOCK : (place + 1) * BLOCK]) != digest:
                raise FileError(
                    f"{self.path}: changed while it was read: try again once it is written"
                )
        start = offset - first * BLOCK
        return data[start : start + size]


class Spool:
    """A file without a name for integers that are computed, which ends with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed when collected
        self._close = weakref.finalize(self, self._file.close)
        self._size = 0

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of the file."""
        return os.pread(self._file.fileno(), size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write a part of the file."""
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            offset, data = offset + written, data[written:]

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> "SpooledArray":
        """Return a new array in the file, whose parts are to be assigned."""
        made = SpooledArray(self, self._size, dtype, shape)
        self._size += made.size * dtype.itemsize
        return made


class StoredArray(NDArrayOperatorsMixin):
    """An array of integers in a file, little-endian and row by row.

    A slice of its first axis reads that part alone. Everything else that NumPy does with arrays
    reads all of it.

    Parameters
    ----------
    source
        The file.
    offset
        Place of the first byte.
    stored
        Type of the integers in the file.
    shape
        Sizes of the axes.
    dtype
        Type in which the integers are given; that of the file where it is left out.

    """

    def __init__(
        self,
        source: Source,
        offset: int,
        stored: np.dtype,
        shape: tuple[int, ...],
        dtype: np.dtype | None = None,
    ):
        self._source = source
        self._offset = offset
        self._stored = np.dtype(stored).newbyteorder("<")
        self._limits: tuple[int, int] | None = None
        self.shape = shape
        self.dtype = np.dtype(stored if dtype is None else dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of integers."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, *others = index if isinstance(index, tuple) else (index,)
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            if step == 1:
                return self._part(first, max(first, last))[(slice(None), *others)]
        return self._part(0, len(self))[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self._part(0, len(self))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        whole = [each[:] if isinstance(each, StoredArray) else each for each in inputs]
        return getattr(ufunc, method)(*whole, **options)

    def astype(self, dtype: Any, copy: bool = True) -> np.ndarray:
        """Read all of it in another type."""
        return self[:].astype(dtype, copy=False)

    def cast(self, dtype: np.dtype) -> "StoredArray":
        """Return the array with integers given in another type, which must hold them."""
        cast = StoredArray(self._source, self._offset, self._stored, self.shape, dtype)
        cast._limits = self._limits
        return cast

    def first(self, count: int) -> "StoredArray":
        """Return the first rows, without reading them."""
        shape = (min(count, len(self)), *self.shape[1:])
        return StoredArray(self._source, self._offset, self._stored, shape, self.dtype)

    def limits(self) -> tuple[int, int]:
        """Return the smallest and the largest integer."""
        if self._limits is None:
            parts = [(int(part.min()), int(part.max())) for part in chunks(self)]
            self._limits = min(low for low, _ in parts), max(high for _, high in parts)
        return self._limits

    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self._stored.itemsize

    def _part(self, first: int, last: int) -> np.ndarray:
        row = self._row_bytes()
        data = self._source.read(self._offset + first * row, (last - first) * row)
        found = np.frombuffer(data, self._stored).reshape(last - first, *self.shape[1:])
        return found.astype(self.dtype, copy=False)


class SpooledArray(StoredArray):
    """An array whose parts are written before they are read."""

    _source: Spool

    def __setitem__(self, part: slice, values: np.ndarray) -> None:
        first, last, _ = part.indices(len(self))
        if values.shape != (last - first, *self.shape[1:]):
            raise ValueError(f"values of shape {values.shape} for {last - first} of {self.shape}")
        data = np.ascontiguousarray(values, self._stored).tobytes()
        self._source.write(self._offset + first * self._row_bytes(), data)


Array = np.ndarray | StoredArray
"""An array in memory or in a file."""


def cast(array: Array, dtype: np.dtype) -> Array:
    """Return an array in another type, which must hold its integers, without reading it."""
    return array.cast(dtype) if isinstance(array, StoredArray) else array.astype(dtype, copy=False)


def head(array: Array, count: int) -> Array:
    """Return the first rows of an array, without reading them."""
    return array.first(count) if isinstance(array, StoredArray) else array[:count]


def limits(array: Array) -> tuple[int, int]:
    """Return the smallest and the largest integer of an array that has some."""
    if isinstance(array, StoredArray):
        return array.limits()
    return int(array.min()), int(array.max())


def chunks(array: Array) -> Iterator[np.ndarray]:
    """Yield an array in parts along its first axis, of about ``CHUNK_BYTES`` or of one row."""
    row = math.prod(array.shape[1:]) * array.dtype.itemsize
    step = max(1, CHUNK_BYTES // max(1, row))
    for first in range(0, len(array), step):
        yield array[first : first + step]


def _digest(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()
