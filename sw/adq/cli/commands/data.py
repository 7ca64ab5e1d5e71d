"""``adq data``"""

import enum
from pathlib import Path
from typing import Annotated

import typer

from adq.data.hub import HUB_DATA_SETS


class Action(enum.StrEnum):
    """What to do with a data set."""

    GET = "get"
    CHECK = "check"


Name = enum.StrEnum("Name", list(HUB_DATA_SETS))


def data(
    action: Annotated[
        Action, typer.Argument(help="get: download what is missing, and check; check: only that.")
    ],
    name: Annotated[Name, typer.Argument(help="Data set.")],
    path: Annotated[
        Path | None,
        typer.Option(help="Folder of its Parquet files, data/NAME or $ADQ_DATA/NAME if left out."),
    ] = None,
) -> None:
    """Get a data set from the Hugging Face hub, and decode all of its images once.

    Decoded images stay in build/images, where training finds them again.
    """
    from rich.table import Table

    from adq.console import Console
    from adq.data import CACHE
    from adq.data.parquet import read_splits

    data_set = HUB_DATA_SETS[name]
    folder = data_set.folder(path or "")
    if action is Action.GET:
        data_set.download(folder)
    splits = read_splits(data_set, folder, CACHE)

    table = Table(title=f"{name}: {folder}")
    table.add_column("images for")
    for heading in ("images", "of each class", "channels x rows x columns"):
        table.add_column(heading, justify="right")
    for purpose, split in (("training", splits.train), ("testing", splits.test)):
        sizes = sorted({int((split.labels == label).sum()) for label in range(data_set.classes)})
        table.add_row(
            purpose,
            f"{len(split.labels):,}",
            " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1]))),
            " x ".join(map(str, split.pixels.shape[1:])),
        )
    Console().print(table)
