"""Converts liberty files for the stricter readers of Yosys and ABC."""

import re

from adq.verif.liberty.syntax import spans

__all__ = ["repaired"]

_BLANK = re.compile(r"[ \t]*")
_QUOTED = re.compile(r'"[^"]*"|/\*.*?\*/|//[^\n]*', re.DOTALL)
_MARKED = re.compile(r"[/{}]")
_MARK = re.compile(r"/(?=[/*])|[{}]")


def repaired(data: bytes) -> bytes:
    """Return the text of a liberty file, already read without an error, in a form that other
    readers accept.

    Every attribute ends with a semicolon, every group opens on the line of its name, and no string
    has a brace or the mark of a comment in it. Internal power is left out: mapping has no use for
    it, and ABC takes its tables for those of delays where their templates share a name.
    """
    text = data.decode("latin-1")
    parts, done, depth, power = [], 0, 0, None
    for span in spans(text):
        if span.closes:
            depth -= 1
            if depth == power:
                done, power = span.end, None
        elif span.opening is not None:
            if power is None and text.startswith("internal_power", span.start):
                parts.append(text[done : span.start])
                power = depth
            depth += 1
            if power is None and "\n" in text[span.end : span.opening]:
                parts += [text[done : span.end], " "]
                done = span.opening
        elif power is None:
            marked = _MARKED.search(text, span.start, span.end)
            blank = _BLANK.match(text, span.end)
            if marked or not text.startswith(";", blank.end() if blank else span.end):
                statement = text[span.start : span.end]
                statement = _QUOTED.sub(_without_marks, statement) if marked else statement
                parts += [text[done : span.start], statement, ";"]
                done = span.end
    return "".join([*parts, text[done:]]).encode("latin-1")


def _without_marks(found: re.Match[str]) -> str:
    return _MARK.sub("_", found[0]) if found[0][0] == '"' else found[0]
