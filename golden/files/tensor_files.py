"""Files of integer tensors, as safetensors defines them, read and written part by part."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from adq.golden.files.json_reader import JsonError, Schema, parse
from adq.golden.files.reading import FileError
from adq.golden.files.stored_arrays import Array, CheckedFile, StoredArray, chunks, limits

__all__ = ["DTYPES", "narrowest", "parse_tensors", "write_tensors"]

DTYPES = {
    np.dtype(name): code
    for name, code in (
        ("int8", "I8"),
        ("uint8", "U8"),
        ("int16", "I16"),
        ("uint16", "U16"),
        ("int32", "I32"),
        ("uint32", "U32"),
        ("int64", "I64"),
    )
}
"""The integer dtypes from the narrowest on, and what the file calls them."""

MAXIMUM_HEADER_BYTES = 2**24
"""Largest header that is read; that of a thousand nodes takes a hundredth of it."""

_ORDER = ("I64", "U32", "I32", "U16", "I16", "I8", "U8")
"""Order of the tensors in the file, so that each lies on a multiple of its integers' size."""

_ENTRY = {
    "type": "object",
    "required": ["dtype", "shape", "data_offsets"],
    "additionalProperties": False,
    "properties": {
        "dtype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "data_offsets": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 2,
            "maxItems": 2,
        },
    },
}
_HEADER = Schema(
    {
        "type": "object",
        "properties": {
            "__metadata__": {"type": "object", "additionalProperties": {"type": "string"}}
        },
        "additionalProperties": _ENTRY,
    }
)


def narrowest(array: Array) -> np.dtype:
    """Return the smallest dtype that holds an array's integers."""
    lo, hi = limits(array)
    for dtype in DTYPES:
        known = np.iinfo(dtype)
        if known.min <= lo and hi <= known.max:
            return dtype
    raise AssertionError("int64 holds every integer of an artifact")


def write_tensors(path: Path, tensors: Mapping[str, tuple[Array, np.dtype]]) -> str:
    """Write tensors, each in the dtype beside it. Return the sha256 of the file.

    The file is the one that ``safetensors.numpy.save`` gives.
    """
    whole = hashlib.sha256()
    with path.open("wb") as file:
        for data in _file(tensors):
            file.write(data)
            whole.update(data)
    return whole.hexdigest()


def _file(tensors: Mapping[str, tuple[Array, np.dtype]]) -> Iterator[bytes]:
    """Yield the parts of a file."""
    order = sorted(tensors, key=lambda name: (_ORDER.index(DTYPES[tensors[name][1]]), name))
    header, end = {}, 0
    for name in order:
        array, dtype = tensors[name]
        first, end = end, end + array.size * dtype.itemsize
        header[name] = {
            "dtype": DTYPES[dtype],
            "shape": list(array.shape),
            "data_offsets": [first, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        array, dtype = tensors[name]
        for part in chunks(array):
            yield np.ascontiguousarray(part, dtype.newbyteorder("<")).tobytes()


def parse_tensors(file: CheckedFile) -> dict[str, StoredArray]:
    """Return the tensors of a file by name.

    Raises
    ------
    FileError
        It is no such file: its header does not describe every byte of it exactly once.

    """
    try:
        header, start = _header(file)
    except JsonError as error:
        raise FileError(f"not a safetensors file ({error})") from None
    header.pop("__metadata__", None)
    tensors, end = {}, 0
    codes = {code: dtype for dtype, code in DTYPES.items()}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        dtype = codes.get(entry["dtype"])
        if dtype is None:
            raise FileError(f"tensor {name[:128]!r} is {entry['dtype'][:16]}, not of integers")
        if first != end or last - first != math.prod(entry["shape"]) * dtype.itemsize:
            raise FileError(
                f"not a safetensors file (tensor {name[:128]!r} does not lie where it must)"
            )
        tensors[name] = StoredArray(file, start + first, dtype, tuple(entry["shape"]))
        end = last
    if start + end != file.size:
        raise FileError(
            f"not a safetensors file (has {file.size} bytes, its header says {start + end})"
        )
    return tensors


def _header(file: CheckedFile) -> tuple[dict, int]:
    """Return the header of a file, and where its integers begin."""
    size = int.from_bytes(file.read(0, 8), "little")
    if file.size < 8 or not 2 <= size <= min(file.size - 8, MAXIMUM_HEADER_BYTES):
        raise FileError(f"not a safetensors file (a header of {size} bytes)")
    header = parse(file.read(8, size))
    _HEADER.check(header)
    return header, 8 + size
