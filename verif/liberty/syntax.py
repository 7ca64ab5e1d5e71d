"""The liberty format's syntax: a file as nested groups of attributes."""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Group", "LibertyError", "numbers", "parse"]


class LibertyError(ValueError):
    """A liberty file that cannot be read, or that lacks what is asked of it."""


@dataclass
class Group:
    """``kind (arguments) { attributes and groups }``; values as they are written, unquoted."""

    kind: str
    arguments: list[str]
    attributes: dict[str, list[str]] = field(default_factory=dict)
    """Of a simple attribute its last value alone; of a complex one its arguments, those of all of
    its name one after the other."""
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """First argument."""
        return self.arguments[0] if self.arguments else ""

    def get(self, attribute: str, default: str | None = None) -> str | None:
        """A simple attribute."""
        values = self.attributes.get(attribute)
        return values[0] if values else default

    def number(self, attribute: str, default: float | None = None) -> float | None:
        """A simple attribute that is a number."""
        value = self.get(attribute)
        if value is None:
            return default
        try:
            return _number(value)
        except ValueError:
            raise LibertyError(
                f"{self.kind} ({self.name}): {attribute} must be a number, not {value!r:.40}"
            ) from None

    def all(self, kind: str) -> Iterator["Group"]:
        """Its groups of a kind."""
        return (group for group in self.groups if group.kind == kind)

    def first(self, kind: str) -> "Group | None":
        """Its first group of a kind."""
        return next(self.all(kind), None)


def numbers(values: list[str]) -> list[float]:
    """Numbers of a list attribute, however they are spread over strings."""
    return [_number(number) for value in values for number in value.replace(",", " ").split()]


def _number(text: str) -> float:
    """A number, which to Python NaN and infinity are, too."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r:.40} is no number")
    return number


# Comments and continued lines go first: what is left is strings, punctuation and words.
_BLANK = re.compile(r"/\*.*?\*/|//[^\n]*|\\\r?\n", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|[{}();:,]|[^\s{}();:,"]+')


def parse(path: Path) -> tuple[Group, bytes]:
    """The ``library`` group of a liberty file, gzipped or not, and the text that it was read from.

    Raises
    ------
    LibertyError
        If the file cannot be read, is damaged or cut short; the message starts with its path.
    """
    data = _read(path)
    try:
        library = _parse(data.decode("latin-1"))
    except LibertyError as error:
        raise LibertyError(f"{path}: {error}") from None
    if library.kind != "library":
        raise LibertyError(f"{path}: not a liberty file: it starts with {library.kind!r:.40}")
    return library, data


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except EOFError:
        raise LibertyError(f"{path}: gzipped, and cut short; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise LibertyError(f"{path}: gzipped, and damaged ({error}); fetch it again") from None
    except OSError as error:
        raise LibertyError(f"{path}: cannot read the liberty file: {error.strerror}") from None


def _parse(text: str) -> Group:
    tokens = iter(_TOKEN.findall(_BLANK.sub(" ", text)))
    root = Group("file", [])
    stack = [root]
    for token in tokens:
        if token == "}":
            if len(stack) == 1:
                raise LibertyError("a closing brace with nothing to close")
            stack.pop()
            if len(stack) == 1:
                break
            continue
        if token in ";,":
            continue
        if token in "{():":
            raise LibertyError(f"{_where(stack)}: a name expected, not {token!r}")
        follows = next(tokens, None)
        if follows == ":":
            stack[-1].attributes[token] = [_simple_value(tokens)]
        elif follows == "(":
            arguments = _arguments(tokens)
            follows = next(tokens, None)
            if follows == "{":
                group = Group(token, arguments)
                stack[-1].groups.append(group)
                stack.append(group)
            elif follows in (";", "}"):
                stack[-1].attributes.setdefault(token, []).extend(arguments)
                if follows == "}":
                    stack.pop()
            elif follows is not None:
                raise LibertyError(f"{_where(stack)}: {token}: ';' expected, not {follows!r:.40}")
        elif follows is not None:
            raise LibertyError(f"{_where(stack)}: {token!r:.40}: ':' or '(' expected")
    if len(stack) > 1:
        raise LibertyError(f"cut short inside of {_where(stack)}; fetch it again")
    if not root.groups:
        raise LibertyError("not a liberty file: it has no library group")
    return root.groups[0]


def _simple_value(tokens: Iterator[str]) -> str:
    parts = []
    for token in tokens:
        if token == ";":
            break
        parts.append(token.strip('"'))
    return " ".join(parts)


def _arguments(tokens: Iterator[str]) -> list[str]:
    arguments = []
    for token in tokens:
        if token == ")":
            break
        if token != ",":
            arguments.append(token.strip('"').strip())
    return arguments


def _where(stack: list[Group]) -> str:
    # Liberty nests four deep; what is deeper is none.
    inside = (f"{group.kind} ({', '.join(group.arguments)})" for group in stack[1:6])
    return " / ".join(inside) or "not a liberty file"
