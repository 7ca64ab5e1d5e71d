"""Folders of image files: ``train/CLASS/IMAGE`` and ``test/CLASS/IMAGE`` below one folder.

The classes are the folders below ``train``, numbered in the order of their names. All images have
one size; they are grey if every one of them is, and coloured otherwise. Files and folders whose
name begins with a dot are not read. What else is found there is an image or an error: nothing is
left out without a word.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from adq.data import decoding
from adq.data.decoding import ImageError, decode
from adq.data.hub import DataError
from adq.data.parquet import LONGEST_NAME
from adq.data.splits import Split, Splits
from adq.files import replacing
from adq.golden.files.reading import FileError, read_file

__all__ = ["read_folder"]

TEST_NAMES = ("test", "val", "valid", "validation")
"""Names that the folder of the test images may have."""

LARGEST_FILE = 2**28
"""Bytes of an image file at most."""

_LEFT_BY_SYSTEMS = {"Thumbs.db", "desktop.ini"}
"""Files that file managers leave in folders of images."""


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    digest: str
    shape: tuple[int, int, int]
    """(C, H, W)"""


def read_folder(folder: Path, cache: Path) -> Splits:
    """Read the images of a folder, from the cache if the same images were decoded before.

    Raises
    ------
    DataError
        A folder or an image is missing, damaged, there twice, or of another size, or there is
        something else.

    """
    tests = [name for name in TEST_NAMES if (folder / name).is_dir()]
    if not (folder / "train").is_dir() or not tests:
        raise DataError(
            f"{folder}: has no folders train and test: put images into train/CLASS and test/CLASS"
        )
    if len(tests) > 1:
        raise DataError(f"{folder}: has {tests[0]} and {tests[1]}: leave one of them for testing")
    names = _class_names(folder / "train")
    train = _files(folder / "train", names, needed=True)
    test = _files(folder / tests[0], names, needed=False)
    if not test:
        raise DataError(f"{folder / tests[0]}: holds no images: put some into the classes' folders")
    _check_different([*train, *test])
    shape = _common_shape([*train, *test])
    splits = {"train": train, "test": test}
    parts = {split: _decoded(files, shape, cache) for split, files in splits.items()}
    return Splits(**parts, class_names=names)


def _inside(folder: Path) -> list[Path]:
    """Return the contents of a folder, sorted by name, without hidden files."""
    return sorted(
        each
        for each in folder.iterdir()
        if not each.name.startswith(".") and each.name not in _LEFT_BY_SYSTEMS
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(each.name for each in _folders(folder))
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise DataError(
                f"{folder}: a class has a name of more than {LONGEST_NAME} characters, or with "
                "some that cannot be printed: rename its folder"
            )
    if len(names) < 2:
        raise DataError(
            f"{folder}: holds {len(names)} folders of classes: two are the fewest to tell apart"
        )
    return names


def _folders(folder: Path) -> list[Path]:
    found = _inside(folder)
    for each in found:
        if not each.is_dir():
            raise DataError(f"{each}: is not in the folder of a class: move it there or remove it")
    return found


def _files(folder: Path, names: tuple[str, ...], *, needed: bool) -> list[_File]:
    """Inspect the images of a split. With ``needed``, each class must have images."""
    found = []
    for each in _folders(folder):
        if each.name not in names:
            raise DataError(f"{each}: there is no such class among the training images")
        paths = _inside(each)
        if needed and not paths:
            raise DataError(f"{each}: holds no image: put some there, or remove the class")
        found += [_looked_at(path, names.index(each.name)) for path in paths]
    return found


def _looked_at(path: Path, label: int) -> _File:
    encoded = _read(path)
    try:
        shape = decoding.shape_of(encoded)
    except ImageError as error:
        raise DataError(f"{path}: {error}: mend it or remove it") from None
    return _File(path, label, hashlib.sha256(encoded).hexdigest(), shape)


def _read(path: Path) -> bytes:
    try:
        return read_file(path, LARGEST_FILE)
    except FileError as error:
        raise DataError(f"{error}: only images may lie in the folder of a class") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _check_different(files: list[_File]) -> None:
    """Refuse a file that is there twice: it would count twice, or be tested on, too."""
    first: dict[str, _File] = {}
    for file in files:
        other = first.setdefault(file.digest, file)
        if other is not file:
            raise DataError(f"{file.path}: holds the same as {other.path}: remove one of the two")


def _common_shape(files: list[_File]) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of all images. C is 3 if any image is coloured."""
    first = files[0]
    for file in files:
        if file.shape[1:] != first.shape[1:]:
            sizes = [f"{width} x {height}" for _, height, width in (file.shape, first.shape)]
            raise DataError(
                f"{file.path}: has {sizes[0]} pixels, and {first.path} has {sizes[1]}: all images "
                "must have one size"
            )
    return (max(file.shape[0] for file in files), *first.shape[1:])


def _decoded(files: list[_File], shape: tuple[int, int, int], cache: Path) -> Split:
    """Decode images, or find them in the cache by what decides their pixels."""
    digest = hashlib.sha256(repr((shape, PIL.__version__, decoding.VERSION)).encode())
    for file in files:
        digest.update(f"{file.digest} {file.label}\n".encode())
    cached = cache / f"folder-{digest.hexdigest()[:32]}.safetensors"
    try:
        return Split(**load_file(cached))
    except (FileNotFoundError, SafetensorError, TypeError):
        pass
    pixels = np.empty((len(files), *shape), np.uint8)
    for number, file in enumerate(files):
        try:
            pixels[number] = decode(_read(file.path), shape)
        except ImageError as error:
            raise DataError(f"{file.path}: {error}: mend it or remove it") from None
    split = Split(pixels=pixels, labels=np.array([file.label for file in files], np.int64))
    cached.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cached) as temporary:
        save_file({"pixels": split.pixels, "labels": split.labels}, temporary)
    return split
