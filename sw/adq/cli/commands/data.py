"""``adq data``: downloads and checks data sets."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from adq.data.catalog import FOLDER
from adq.data.hub import HUB_DATA_SETS, DataError


class Action(enum.StrEnum):
    """Action of the command."""

    GET = "get"
    CHECK = "check"


Name = enum.StrEnum("Name", [*HUB_DATA_SETS, FOLDER])  # type: ignore[misc]  # not a literal


def data(
    action: Annotated[
        Action,
        typer.Argument(help="get downloads missing files and checks all; check only checks."),
    ],
    name: Annotated[Name, typer.Argument(help="Name of the data set.")],
    path: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the Parquet files (default: data/NAME or $ADQ_DATA/NAME), or of "
            "train/CLASS/IMAGE and test/CLASS/IMAGE."
        ),
    ] = None,
) -> None:
    """Download or check a data set of the Hugging Face hub or a folder of images.

    Decoded images are kept in build/images, where training reads them.
    """
    from rich.table import Table

    from adq.console import Console
    from adq.data import CACHE
    from adq.data.folders import read_folder
    from adq.data.parquet import read_splits

    if name == FOLDER:
        if action is Action.GET or path is None:
            raise DataError("a folder of images is your own: adq data check folder --path FOLDER")
        folder = path.expanduser()
        splits = read_folder(folder, CACHE)
        classes = len(splits.class_names)
    else:
        data_set = HUB_DATA_SETS[name]
        folder, classes = data_set.folder(path or ""), data_set.classes
        if action is Action.GET:
            data_set.download(folder)
        splits = read_splits(data_set, folder, CACHE)

    table = Table(title=f"{name}: {folder}")
    table.add_column("images for")
    for heading in ("images", "of each class", "channels x rows x columns"):
        table.add_column(heading, justify="right")
    for purpose, split in (("training", splits.train), ("testing", splits.test)):
        sizes = sorted({int((split.labels == label).sum()) for label in range(classes)})
        table.add_row(
            purpose,
            f"{len(split.labels):,}",
            " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1]))),
            " x ".join(map(str, split.pixels.shape[1:])),
        )
    Console().print(table)
