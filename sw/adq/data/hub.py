"""Data sets of the Hugging Face hub: their layout on the hub, and their location on this machine.

A data set is a folder of Parquet files, ``train-00000-of-00001.parquet`` and the like, at any
depth. It is the recipe's ``[data] path``, or else ``NAME`` in the folder of the environment
variable ``ADQ_DATA``, which is ``data`` in the present folder where it is not set.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)\b")


class DataError(ValueError):
    """A data set is missing, damaged, or not of the expected layout."""


@dataclass(frozen=True, kw_only=True)
class HubDataSet:
    """A data set's layout on the hub."""

    name: str
    repository: str
    image: str
    """Column of the images: structs whose ``bytes`` are an encoded image."""
    label: str
    """Column of the labels: integers from 0."""
    shape: tuple[int, int, int]
    """(C, H, W) of every image."""
    classes: int
    test: str
    """Beginning of the names of the test images' files."""
    train: str = "train"
    """Beginning of the names of the training images' files."""

    @property
    def remedy(self) -> str:
        """Advice for the user if files are missing or damaged."""
        return (
            f"get it with `adq data get {self.name}`, or give the folder of its Parquet files as "
            "path in [data], or that folder's parent as ADQ_DATA"
        )

    def folder(self, path: str | Path = "") -> Path:
        """Return the folder of the files: the given one, or the default."""
        if path:
            return Path(path).expanduser()
        return Path(os.environ.get("ADQ_DATA") or "data").expanduser() / self.name

    def files(self, split: str, path: str | Path = "") -> list[Path]:
        """Find the files of a split, ``"train"`` or ``"test"``, in order, or raise a DataError."""
        folder, begin = self.folder(path), getattr(self, split)
        found = [
            file
            for file in sorted(folder.glob(f"**/{begin}-*.parquet"))
            if not any(part.startswith(".") for part in file.relative_to(folder).parts)
        ]
        if not found:
            raise DataError(
                f"{folder}: there is no {begin}-*.parquet of {self.name}: {self.remedy}"
            )
        for file in found:
            if not file.is_file():  # a pipe would block whoever reads it
                what = "is no plain file, but a folder, a pipe or a link to nothing"
                raise DataError(f"{file}: {what}: {self.remedy}")
        if len({file.parent for file in found}) > 1:
            raise DataError(
                f"{folder}: {found[0]} and {found[-1]} may belong to different data sets: give "
                "the folder of one of them as path in [data]"
            )
        names = [file.name for file in found]
        for one, other in _written_twice(names):
            raise DataError(
                f"{folder}: {one} and {other} are two writings of the same images: remove one of "
                "the two"
            )
        for missing in _missing_shards(names):
            raise DataError(f"{folder}: {missing} is missing: {self.remedy}")
        return found

    def download(self, path: str | Path = "") -> Path:
        """Download the files that are not there yet, and return their folder.

        Raises
        ------
        DataError
            The hub cannot be reached, refuses, or has no such files.

        """
        from huggingface_hub import snapshot_download

        folder = self.folder(path)
        patterns = [f"*{begin}-*.parquet" for begin in (self.train, self.test)]
        try:
            snapshot_download(
                self.repository, repo_type="dataset", allow_patterns=patterns, local_dir=folder
            )
        except Exception as error:  # of the network, the hub or the disk, in many classes
            reason = str(error).strip().splitlines()
            raise DataError(
                f"{self.repository} cannot be downloaded from the Hugging Face hub "
                f"({type(error).__name__}: {reason[0] if reason else 'no reason given'}): check "
                f"the network and free space, or copy its Parquet files to {folder}"
            ) from error
        for split in ("train", "test"):
            self.files(split, folder)
        return folder


def _written_twice(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of files that cannot belong to one version of a split: their numbers of files
    differ, or they are the same part.
    """
    first = names[0]
    parts: dict[str, str] = {}
    for name in names:
        match = _SHARD.search(name)
        start = _SHARD.search(first)
        if (match and match["count"]) != (start and start["count"]):
            yield first, name
        if match:
            if match["number"] in parts:
                yield parts[match["number"]], name
            parts[match["number"]] = name


def _missing_shards(names: list[str]) -> list[str]:
    """Return the names of files that are missing, according to the ``-of-N`` in the names of the
    others.
    """
    numbers = {int(match["number"]) for name in names if (match := _SHARD.search(name))}
    counts = {int(match["count"]) for name in names if (match := _SHARD.search(name))}
    missing = sorted(set(range(max(counts, default=0))) - numbers)
    return [f"file {number + 1} of {max(counts)}" for number in missing]


HUB_DATA_SETS = {
    each.name: each
    for each in (
        HubDataSet(
            name="cifar10",
            repository="uoft-cs/cifar10",
            image="img",
            label="label",
            shape=(3, 32, 32),
            classes=10,
            test="test",
        ),
        HubDataSet(
            name="cifar100",
            repository="uoft-cs/cifar100",
            image="img",
            label="fine_label",
            shape=(3, 32, 32),
            classes=100,
            test="test",
        ),
        HubDataSet(
            name="tiny-imagenet",
            repository="zh-plus/tiny-imagenet",
            image="image",
            label="label",
            shape=(3, 64, 64),
            classes=200,
            test="valid",
        ),
    )
}
"""By name. Tiny-ImageNet's test images have no labels: its validation images stand in."""
