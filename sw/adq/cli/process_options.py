"""Options for parallel work: how many processes, on which cluster, or which shard."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ClusterOption", "CollectOption", "ProcessesOption", "ShardOption"]

ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        metavar="N",
        min=1,
        help="Number of parallel processes. Default: the number of processors.",
    ),
]
ClusterOption = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Work on a Dask cluster: tcp://HOST:PORT of its scheduler, or local:N for N workers "
        "on this machine.",
    ),
]
ShardOption = Annotated[
    str,
    typer.Option("--shard", metavar="N/COUNT", help="Do only this part of the work, such as 3/16."),
]
CollectOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--collect",
        metavar="DIR",
        help="Collect the results of shards, each the --out of one. May be repeated. Nothing is "
        "run.",
    ),
]
