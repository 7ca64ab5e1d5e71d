"""Measurements that are kept in the repository."""

import json
from pathlib import Path
from typing import Any

from adq.signoff.markdown import markdown_table

__all__ = ["RESULTS", "kept_table", "read_kept"]

RESULTS = Path("results/measured")
"""Folder of kept measurements, from the project's root."""


def read_kept(name: str | Path) -> dict[str, Any]:
    """Return a kept measurement."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def kept_table(name: str) -> list[str]:
    """Return a table that was measured by hand, on earlier hardware, as it was written down."""
    found = read_kept(Path("tables", f"{name}.json"))
    return markdown_table(found["headings"], found["rows"])
