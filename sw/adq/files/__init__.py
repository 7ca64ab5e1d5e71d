"""Files that appear whole or not at all: the writer of :mod:`adq.golden.files`."""

from adq.golden.files.writing import (
    remove_remains,
    replacing,
    write_bytes,
    write_json,
    write_text,
)

__all__ = ["remove_remains", "replacing", "write_bytes", "write_json", "write_text"]
