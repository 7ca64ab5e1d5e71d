"""Safe output to a terminal and to Markdown: names are shown as text and never interpreted.

Names of networks, layers, generators, devices and folders come from files. They may contain
terminal control characters or Markdown syntax.
"""

import html
import re
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from adq.escaping import visible

__all__ = ["Console", "markdown_code", "markdown_text", "print_whole"]

_MARKS = re.compile(r"([\\`*_\[\]#|])")


def markdown_text(text: str) -> str:
    """Return a text escaped for Markdown, in one line. It may be used in a table."""
    return _MARKS.sub(r"\\\1", html.escape(_line(text), quote=False))


def markdown_code(text: str) -> str:
    """Return a name as Markdown code, in one line. It may be used in a table."""
    return (
        f"`{_line(text)}`" if not set(text) & set("`|\\") else f"<code>{markdown_text(text)}</code>"
    )


def _line(text: str) -> str:
    return " ".join(visible(text).split())


class Console(rich.console.Console):
    """Rich console that escapes control characters in all output."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string to text, escaped before its width is measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Convert a renderable to segments, and escape those that did not come from a string."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text is segment.text else Segment(text, segment.style)


def print_whole(table: Table, console: rich.console.Console) -> None:
    """Print a table at its full width, even in a narrower window.

    Wrapped lines are better than truncated figures. Square brackets are printed as text, because
    folder names may contain them.
    """
    whole = Console(width=1000, markup=False).measure(table).maximum
    Console(width=max(console.width, whole), markup=False).print(table)
