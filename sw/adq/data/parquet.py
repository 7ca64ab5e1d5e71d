"""Parquet files of encoded images, decoded once.

Decoded images are kept as bytes in a cache. A cached file is named by the hash of the Parquet
file's content, of the layout that was asked for and of the decoder's version, so that it is found
again wherever the Parquet file lies, and never mistaken for another's.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import pyarrow
import pyarrow.parquet
from PIL import Image
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from adq.console import Console
from adq.data.hub import DataError, HubDataSet
from adq.data.splits import Split, Splits
from adq.files import replacing

_MODES = {1: "L", 3: "RGB"}
"""Pillow's name of an image with so many channels of 8 bits."""

_BATCH = 1000
"""Rows that are read at a time."""


def read_splits(data_set: HubDataSet, path: str | Path, cache: Path) -> Splits:
    """Read the training and the test images of a data set, from the cache where they are there.

    Raises
    ------
    DataError
        A file is missing, damaged or of another layout, or an image cannot be decoded.

    """
    parts = {}
    for split in ("train", "test"):
        files = [_read(data_set, file, cache) for file in data_set.files(split, path)]
        parts[split] = Split(
            pixels=np.concatenate([file.pixels for file in files]),
            labels=np.concatenate([file.labels for file in files]),
        )
    return Splits(**parts)


def _read(data_set: HubDataSet, path: Path, cache: Path) -> Split:
    """Find a file's images in the cache, or decode them."""
    cached = cache / f"{data_set.name}-{_digest(data_set, path)}.safetensors"
    try:
        return Split(**load_file(cached))
    except (FileNotFoundError, SafetensorError, TypeError):
        split = _decode(data_set, path)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cached) as temporary:
        save_file({"pixels": split.pixels, "labels": split.labels}, temporary)
    return split


def _digest(data_set: HubDataSet, path: Path) -> str:
    layout = repr((data_set, PIL.__version__))
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
) -> Iterator[tuple[dict | None, int | None]]:
    """Yield each row's image and label, showing progress to a person who waits."""
    columns = [data_set.image, data_set.label]
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"decoding {path.name}", total=file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
            progress.advance(task, batch.num_rows)


def _check_columns(data_set: HubDataSet, path: Path, schema: pyarrow.Schema) -> None:
    """Hold a file's columns against the data set's layout on the hub."""
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


def _pixels(data_set: HubDataSet, image: dict | None, where: str) -> np.ndarray:
    """Decode an image: uint8 (C, H, W)."""
    channels, height, width = data_set.shape
    encoded = image and image["bytes"]
    if not encoded:
        raise DataError(f"{where}: has no image: {data_set.remedy}")
    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            if opened.size != (width, height):  # before anything is decoded
                raise DataError(
                    f"{where}: its image has {opened.width} x {opened.height} pixels, those of "
                    f"{data_set.name} have {width} x {height}: {data_set.remedy}"
                )
            pixels = np.asarray(opened.convert(_MODES[channels]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        reason = "of no known format" if isinstance(error, PIL.UnidentifiedImageError) else error
        raise DataError(
            f"{where}: its image cannot be decoded ({reason}): {data_set.remedy}"
        ) from None
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _label(data_set: HubDataSet, label: int | None, where: str) -> int:
    if label is None or not 0 <= label < data_set.classes:
        raise DataError(
            f"{where}: its label is {label}, those of {data_set.name} are 0 to "
            f"{data_set.classes - 1}: {data_set.remedy}"
        )
    return label
