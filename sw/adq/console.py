"""The console, and Markdown: whatever a name holds is shown, and does nothing.

Names of networks, layers, generators, devices and folders come from files and go to a terminal,
which obeys some characters, and into Markdown, which obeys others.
"""

import html
import re
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

__all__ = ["Console", "markdown_code", "markdown_text", "print_whole", "visible"]

_MARKS = re.compile(r"([\\`*_\[\]#|])")


def visible(text: str) -> str:
    """Return a text with every character that a terminal would obey written as an escape.

    Ends of lines and tabulators stay.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def markdown_text(text: str) -> str:
    """Return a text so that Markdown shows it as it is, in one line, in a table too."""
    return _MARKS.sub(r"\\\1", html.escape(_line(text), quote=False))


def markdown_code(text: str) -> str:
    """Return a name as code in Markdown, in one line, in a table too."""
    return (
        f"`{_line(text)}`" if not set(text) & set("`|\\") else f"<code>{markdown_text(text)}</code>"
    )


def _line(text: str) -> str:
    return " ".join(visible(text).split())


class Console(rich.console.Console):
    """Rich's console, which shows what text holds and obeys none of it."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into text; what is measured is what is shown."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Turn anything into segments; whatever brings its own text has to pass here."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text is segment.text else Segment(text, segment.style)


def print_whole(table: Table, console: rich.console.Console) -> None:
    """Print a table as wide as it is: in a narrow window one whose lines run over is worth more
    than one with its figures cut. Square brackets are text: names of folders may hold some.
    """
    whole = Console(width=1000, markup=False).measure(table).maximum
    Console(width=max(console.width, whole), markup=False).print(table)
