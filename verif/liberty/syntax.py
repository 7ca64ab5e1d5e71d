"""The liberty format's syntax: a file as nested groups of attributes.

A statement is ``name : value``, ``name (arguments)`` or ``name (arguments) { statements }``. The
first two end at a semicolon, at the end of the line or before the closing brace of their group.
Comments and continued lines are blanks, except within a string, where they are text.
"""

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from adq.golden.files.reading import FileError, read_file

__all__ = ["Group", "LibertyError", "parse", "spans"]

LARGEST = 2**30
"""Bytes of a liberty file at most, unpacked: a small gzipped file may claim any size."""


class LibertyError(ValueError):
    """A liberty file that cannot be read, or that lacks what is asked of it.

    ``offset`` is the place in the file's text, where the error has one.
    """

    def __init__(self, message: str, offset: int | None = None):
        super().__init__(message)
        self.offset = offset

    def located(self, path: Path, text: bytes) -> "LibertyError":
        """Return the same error with the file's name and the line in front."""
        if self.offset is None:
            return LibertyError(f"{path}: {self}")
        line = 1 + text.count(b"\n", 0, self.offset)
        return LibertyError(f"{path}: line {line}: {self}")


@dataclass(slots=True, eq=False)
class Group:
    """``kind (arguments) { attributes and groups }``; values as they are written, unquoted."""

    kind: str
    arguments: list[str]
    parent: "Group | None" = field(default=None, repr=False)
    offset: int = 0
    """Place of its name in the file's text."""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    """Values by name: the last value of a simple attribute; the arguments of all complex attributes
    of the name, one after the other."""
    offsets: dict[str, int] = field(default_factory=dict, repr=False)
    """Place of the last attribute of each name in the file's text."""
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """First argument."""
        return self.arguments[0] if self.arguments else ""

    @overload
    def get(self, attribute: str) -> str | None: ...
    @overload
    def get(self, attribute: str, default: str) -> str: ...
    def get(self, attribute: str, default: str | None = None) -> str | None:
        """Return the value of a simple attribute."""
        values = self.attributes.get(attribute)
        return values[0] if values else default

    @overload
    def number(self, attribute: str) -> float | None: ...
    @overload
    def number(self, attribute: str, default: float) -> float: ...
    def number(self, attribute: str, default: float | None = None) -> float | None:
        """Return the value of a simple attribute that is a number."""
        value = self.get(attribute)
        if value is None:
            return default
        try:
            return _number(value)
        except ValueError:
            raise self.error(
                f"{attribute} must be a number, not {value!r:.40}", attribute
            ) from None

    def numbers(self, attribute: str) -> list[float]:
        """Return the numbers of a list attribute, however they are spread over strings."""
        text = " ".join(self.attributes.get(attribute, ())).replace(",", " ")
        try:
            return _numbers(text)
        except ValueError as error:
            raise self.error(f"{attribute}: {error}", attribute) from None

    def error(self, message: str, attribute: str = "") -> LibertyError:
        """Return an error that names this group, and has its place or that of its attribute."""
        offset = self.offsets.get(attribute, self.offset)
        return LibertyError(f"{_where(self)}: {message}", offset)

    def all(self, kind: str) -> Iterator["Group"]:
        """Yield its groups of a kind."""
        return (group for group in self.groups if group.kind == kind)

    def first(self, kind: str) -> "Group | None":
        """Return its first group of a kind."""
        return next(self.all(kind), None)


def _number(text: str) -> float:
    """Read a number: no NaN, infinity or underscore, which Python takes for numbers, too."""
    [number] = _numbers(text)
    return number


def _numbers(text: str) -> list[float]:
    words = text.split()
    try:
        found = list(map(float, words))
    except ValueError:
        found = [math.nan]
    if "_" in text or not all(map(math.isfinite, found)):
        wrong = next((word for word in words if not _NUMBER.fullmatch(word)), text)
        raise ValueError(f"{wrong!r:.40} is no number")
    return found


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

# Groups that repeat are not possessive: Python before 3.11.5 matches some of those wrongly. No two
# of their alternatives match the same text, so that nothing is tried in more than one way.
_COMMENT = r"/\*[^*]*+\*++(?:[^*/][^*]*+\*++)*/"
_STRING = r'"[^"]*+"'
_LINE = rf"(?:[^\S\n]++|\\\r?\n|{_COMMENT})*"
"""Blanks within a statement: all that do not end its line."""
_GAP = rf"(?:\s++|\\\r?\n|{_COMMENT}|//[^\n]*+)*"
"""Blanks between statements, but for semicolons."""
_END = r"(?=[;\n}]|//|\Z)"
"""End of a statement."""

_NAME = r"(?P<name>[^\s{}();:,\"\\/]++)"
_ARGUMENTS = rf'(?P<arguments>(?:[^()"\\/]++|{_STRING}|{_COMMENT}|//[^\n]*+|\\|/(?![/*]))*)'

_STATEMENT = re.compile(
    rf"""(?:
      {_NAME} {_LINE}
      (?: :{_LINE} (?P<value>{_STRING}|[^\s;{{}}():"\\/]++) {_LINE}{_END}
        | \( {_ARGUMENTS} \)
          (?: {_GAP}(?P<open>\{{) | {_LINE}{_END} )
        | (?P<colon>:)
      )
      | (?P<close>\}})
    ) (?:[\s;,]++|\\\r?\n|{_COMMENT}|//[^\n]*+)*""",
    re.VERBOSE,
)
"""A statement up to the next one; of a value that is more than one word or string, its start."""

_FIRST = re.compile(rf"(?:[\s;]++|\\\r?\n|{_COMMENT}|//[^\n]*+)*")
_VALUE = re.compile(
    rf"""(?:[^;{{}}":\n\\/]++|{_STRING}|{_COMMENT}|\\\r?\n|/(?![/*])|(?<=\d):(?=\d))*""", re.DOTALL
)
"""A value of several words and strings, or none."""
_WORD = re.compile(rf"""{_STRING}|{_COMMENT}|//[^\n]*+|(?:[^\s,"\\/]|/(?![/*]))++""")
"""A word, a string or a comment, as arguments and values are made of."""
_START = re.compile(rf"{_NAME}{_LINE}(?:\({_ARGUMENTS}(?P<closed>\){_LINE})?)?")
_ENDS = re.compile(_END)
_CONTINUED = re.compile(r"\\\r?\n")


def parse(path: Path) -> tuple[Group, bytes]:
    """Return the ``library`` group of a liberty file, gzipped or not, and the text it is read from.

    Raises
    ------
    LibertyError
        If the file cannot be read, is damaged or cut short; the message starts with its path.
    """
    data = _read(path)
    try:
        library = _parse(data.decode("latin-1"))
    except LibertyError as error:
        raise error.located(path, data) from None
    return library, data


def _read(path: Path) -> bytes:
    try:
        data = read_file(path, LARGEST)
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(LARGEST + 1)
    except EOFError:
        raise LibertyError(f"{path}: gzipped, and cut short; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise LibertyError(f"{path}: gzipped, and damaged ({error}); fetch it again") from None
    except FileError as error:
        raise LibertyError(f"{error}: give the path of a liberty file") from None
    except OSError as error:
        raise LibertyError(f"{path}: cannot read the liberty file: {error.strerror}") from None
    if len(data) > LARGEST:
        raise LibertyError(f"{path}: more than {LARGEST >> 30} GiB: no liberty file is that large")
    return data.removeprefix(b"\xef\xbb\xbf")


def _parse(text: str) -> Group:
    root = group = Group("file", [])
    match = _STATEMENT.match
    place = _next_statement(text, 0)
    while place < len(text):
        found = match(text, place)
        if found is None:
            raise _unreadable(text, place, group)
        name, value, arguments, opens, colon, closes = found.groups()
        if value is not None:
            group.attributes[name] = [_unquoted(value)]
            group.offsets[name] = place
        elif opens:
            inner = Group(name, _arguments(arguments), group, place)
            group.groups.append(inner)
            group = inner
        elif closes:
            if group.parent is None:
                raise LibertyError("a closing brace with nothing to close", place)
            group = group.parent
            if group is root:
                place = found.end()
                break
        elif colon:
            value, end = _long_value(text, found.end("colon"), group, name)
            group.attributes[name] = [value]
            group.offsets[name] = place
            place = _next_statement(text, end)
            continue
        else:
            group.attributes.setdefault(name, []).extend(_arguments(arguments))
            group.offsets[name] = place
        place = found.end()
    if group is not root:
        raise LibertyError(f"cut short inside of {_where(group)}; fetch it again")
    if not root.groups:
        raise LibertyError("not a liberty file: it has no library group")
    [library] = root.groups
    if library.kind != "library":
        raise LibertyError(f"not a liberty file: it starts with {library.kind!r:.40}")
    if place < len(text):
        raise LibertyError("text after the end of the library group", place)
    return library


@dataclass(frozen=True, slots=True)
class Span:
    """Place of a statement, or of a group's closing brace, in a text."""

    start: int
    end: int
    """End of an attribute but for its semicolon, of a group's arguments, or of the brace."""
    opening: int | None = None
    """Place of a group's opening brace."""
    closes: bool = False


def spans(text: str) -> Iterator[Span]:
    """Yield the places of the statements of a text that was read without an error."""
    place = _next_statement(text, 0)
    while found := _STATEMENT.match(text, place):
        if found["colon"]:
            end = _value_at(text, found.end("colon")).end()
            yield Span(place, end)
            place = _next_statement(text, end)
            continue
        if found["value"] is not None:
            yield Span(place, found.end("value"))
        elif found["close"]:
            yield Span(place, place + 1, closes=True)
        else:
            opening = found.start("open") if found["open"] else None
            yield Span(place, found.end("arguments") + 1, opening)
        place = found.end()


def _next_statement(text: str, place: int) -> int:
    """Return where the next statement begins: behind blanks, comments and semicolons."""
    found = _FIRST.match(text, place)
    return place if found is None else found.end()


def _value_at(text: str, place: int) -> re.Match[str]:
    """Return the value at a place, which may be empty."""
    found = _VALUE.match(text, place)
    assert found is not None, "the pattern matches an empty text, too"
    return found


def _unquoted(value: str) -> str:
    """Take a string's quotes off; a continued line is a blank."""
    if value[0] != '"':
        return value
    return _CONTINUED.sub(" ", value[1:-1]) if "\\" in value else value[1:-1]


def _words(text: str) -> list[str]:
    found = _WORD.findall(text)
    return [each for each in found if not each.startswith(("//", "/*"))] if "/" in text else found


def _arguments(text: str) -> list[str]:
    return [_unquoted(word).strip() for word in _words(text)]


def _long_value(text: str, place: int, group: Group, name: str) -> tuple[str, int]:
    """Return a value of several words and strings, and the place of its end."""
    value = _value_at(text, place)
    words = _words(value[0])
    if not words and text[value.end() : value.end() + 1] != '"':
        raise LibertyError(f"{_where(group)}: {name}: a value expected on this line", place)
    if not _ENDS.match(text, value.end()):
        raise _unreadable(text, value.end(), group, name)
    return " ".join(map(_unquoted, words)), value.end()


def _unreadable(text: str, place: int, group: Group, name: str = "") -> LibertyError:
    """Return an error that says why no statement begins at a place, or why that of a name does
    not end there.
    """
    where = _where(group)
    if not name:
        start = _START.match(text, place)
        if start is None:
            return LibertyError(f"{where}: a name expected, not {text[place]!r}", place)
        name, place = start["name"], start.end()
        if start["arguments"] is None:
            if place == len(text):
                return LibertyError(f"cut short inside of {where}; fetch it again", start.start())
            return LibertyError(f"{where}: {name!r:.40}: ':' or '(' expected", start.start())
        if text[place : place + 1] in ('"', ""):
            return LibertyError(
                f"cut short inside of {where}: {name} ( does not end; fetch it again", start.start()
            )
        if not start["closed"]:
            return LibertyError(f"{where}: {name}: ')' expected, not {text[place]!r}", place)
    if text[place] == '"':
        return LibertyError(f"{where}: {name}: a string that does not end", place)
    expected = "';' or the end of the line expected"
    return LibertyError(f"{where}: {name}: {expected}, not {text[place]!r}", place)


def _where(group: Group) -> str:
    inside = []
    while group.parent is not None:
        inside.append(f"{group.kind} ({', '.join(group.arguments)})")
        group = group.parent
    # Liberty nests four deep; what is deeper is none.
    return " / ".join(inside[:-6:-1]) or "not a liberty file"
