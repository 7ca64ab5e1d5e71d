"""Parquet files of encoded images, decoded once.

Decoded images are kept as bytes in a cache. A cached file is named by the hash of the Parquet
file's content, of the layout that was asked for and of the decoder's version, so that it is found
again wherever the Parquet file lies, and never mistaken for another's.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow
import pyarrow.parquet
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from adq.console import Console
from adq.data import decoding
from adq.data.decoding import ImageError, decode
from adq.data.hub import DataError, HubDataSet
from adq.data.splits import Split, Splits
from adq.files import replacing

LONGEST_NAME = 200
"""Characters of a class's name at most: it goes into manifests and to the terminal."""

_BATCH = 1000
"""Rows that are read at a time."""


def read_splits(data_set: HubDataSet, path: str | Path, cache: Path) -> Splits:
    """Read the training and test images of a data set, from the cache if they were decoded before.

    Raises
    ------
    DataError
        A file is missing, damaged or of another layout, or an image cannot be decoded.

    """
    files = {split: data_set.files(split, path) for split in ("train", "test")}
    names = {file: _class_names(data_set, file) for each in files.values() for file in each}
    reference = max(names.values(), key=len)
    parts = {}
    for split, paths in files.items():
        digests = [_digest(data_set, file) for file in paths]
        _check_alike(data_set, paths, digests)
        read = [
            _numbered(_read(data_set, file, digest, cache), file, names[file], reference)
            for file, digest in zip(paths, digests, strict=True)
        ]
        parts[split] = Split(
            pixels=np.concatenate([file.pixels for file in read]),
            labels=np.concatenate([file.labels for file in read]),
        )
    return Splits(**parts, class_names=reference)


def _check_alike(data_set: HubDataSet, paths: list[Path], digests: list[str]) -> None:
    seen: dict[str, Path] = {}
    for path, digest in zip(paths, digests, strict=True):
        if digest in seen:
            raise DataError(f"{path}: holds the same as {seen[digest].name}: {data_set.remedy}")
        seen[digest] = path


def _class_names(data_set: HubDataSet, path: Path) -> tuple[str, ...]:
    """Return the class names in a file's metadata, from class 0; empty if it has none."""
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        names = features[data_set.label]["names"]
    except (pyarrow.ArrowException, OSError):  # what is damaged is told when it is read
        return ()
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    if any(len(name) > LONGEST_NAME or not name.isprintable() for name in names):
        raise DataError(
            f"{path}: its metadata names a class in more than {LONGEST_NAME} characters, or in "
            f"some that cannot be printed: {data_set.remedy}"
        )
    if len(set(names)) < len(names) or len(names) > data_set.classes:
        raise DataError(
            f"{path}: its metadata names {len(names)} classes, {len(set(names))} of them "
            f"different, and {data_set.name} has {data_set.classes}: {data_set.remedy}"
        )
    return tuple(names)


def _numbered(
    split: Split, path: Path, names: tuple[str, ...], reference: tuple[str, ...]
) -> Split:
    """Renumber a file's labels so that class names have the same numbers in all files."""
    if not names:
        return split
    if names == reference[: len(names)]:
        numbers = np.arange(len(names))
    else:
        unknown = [name for name in names if name not in reference]
        if unknown:
            raise DataError(
                f"{path}: its metadata names a class {unknown[0]!r:.40} that other files of the "
                "data set do not name: give all files the same classes"
            )
        numbers = np.array([reference.index(name) for name in names])
    if len(numbers) <= split.labels.max():
        raise DataError(
            f"{path}: has a label {split.labels.max()}, and its metadata names {len(numbers)} "
            "classes: give all files the same classes"
        )
    return Split(pixels=split.pixels, labels=numbers[split.labels])


def _read(data_set: HubDataSet, path: Path, digest: str, cache: Path) -> Split:
    """Return a file's images from the cache, by its digest, or decode them."""
    cached = cache / f"{data_set.name}-{digest}.safetensors"
    try:
        return Split(**load_file(cached))
    except (FileNotFoundError, SafetensorError, TypeError):
        split = _decode(data_set, path)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cached) as temporary:
        save_file({"pixels": split.pixels, "labels": split.labels}, temporary)
    return split


def _digest(data_set: HubDataSet, path: Path) -> str:
    layout = repr((data_set, PIL.__version__, decoding.VERSION))
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): {data_set.remedy}") from None
    digest.update(layout.encode())
    return digest.hexdigest()[:32]


def _decode(data_set: HubDataSet, path: Path) -> Split:
    """Decode every image of a Parquet file."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_columns(data_set, path, file.schema_arrow)
            count = file.metadata.num_rows
            pixels = np.empty((count, *data_set.shape), dtype=np.uint8)
            labels = np.empty(count, dtype=np.int64)
            for row, (image, label) in enumerate(_rows(data_set, file, path)):
                pixels[row] = _pixels(data_set, image, f"{path}: row {row}")
                labels[row] = _label(data_set, label, f"{path}: row {row}")
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: is damaged or no Parquet file ({reason}): {data_set.remedy}"
        ) from None
    if count == 0:
        raise DataError(f"{path}: holds no images: {data_set.remedy}")
    return Split(pixels=pixels, labels=labels)


def _rows(
    data_set: HubDataSet, file: pyarrow.parquet.ParquetFile, path: Path
) -> Iterator[tuple[dict[str, Any] | None, int | None]]:
    """Yield the image and the label of each row, with a progress bar on a terminal."""
    columns = [data_set.image, data_set.label]
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"decoding {path.name}", total=file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
            progress.advance(task, batch.num_rows)


def _check_columns(data_set: HubDataSet, path: Path, schema: pyarrow.Schema) -> None:
    """Check a file's columns against the layout of the data set on the hub."""
    found = dict(zip(schema.names, schema.types, strict=True))
    image, label = found.get(data_set.image), found.get(data_set.label)
    if image is None or label is None:
        raise DataError(
            f"{path}: has the columns {', '.join(found) or 'none'}, and {data_set.name} has "
            f"{data_set.image} and {data_set.label}: {data_set.remedy}"
        )
    if not (pyarrow.types.is_struct(image) and image.get_field_index("bytes") >= 0):
        raise DataError(
            f"{path}: the column {data_set.image} is {image}, not a struct with the bytes of an "
            f"encoded image: {data_set.remedy}"
        )
    if not pyarrow.types.is_integer(label):
        raise DataError(
            f"{path}: the column {data_set.label} is {label}, not an integer: {data_set.remedy}"
        )


def _pixels(data_set: HubDataSet, image: dict[str, Any] | None, where: str) -> np.ndarray:
    """Decode an image: uint8 (C, H, W)."""
    encoded = image and image["bytes"]
    if not encoded:
        raise DataError(f"{where}: has no image: {data_set.remedy}")
    try:
        return decode(encoded, data_set.shape)
    except ImageError as error:
        raise DataError(f"{where}: its image {error}: {data_set.remedy}") from None


def _label(data_set: HubDataSet, label: int | None, where: str) -> int:
    if label is None or not 0 <= label < data_set.classes:
        raise DataError(
            f"{where}: its label is {label}, those of {data_set.name} are 0 to "
            f"{data_set.classes - 1}: {data_set.remedy}"
        )
    return label
