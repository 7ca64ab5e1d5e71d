"""Tables of results as Parquet, for data frames."""

import json
from pathlib import Path

import pyarrow
from pyarrow import parquet

from adq.design_result import OBJECTIVES
from adq.explore.exploration import Exploration
from adq.files import replacing

__all__ = ["write_parquet"]


def write_parquet(exploration: Exploration, path: Path) -> None:
    """Write a row for each result: its axes, its objectives, and the whole result as JSON."""
    rows = [
        {
            **{
                f"axis_{axis}": value if isinstance(value, int | float | str) else json.dumps(value)
                for axis, value in result.point.items()
            },
            **{name: result.objective(name) for name in OBJECTIVES},
            "front": exploration.on_front(result),
            "result": json.dumps(result.to_json()),
        }
        for result in exploration.results
    ]
    with replacing(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(rows), temporary)
