"""Sizes and pins of cells, read from a LEF file."""

import re
from dataclasses import dataclass
from pathlib import Path

from adq.golden.files.reading import FileError, read_file
from adq.verif.placement.errors import PlacementError

__all__ = ["LefMacro", "read_lef"]

MAXIMUM_BYTES = 2**28
"""Largest file that is read."""

LARGEST = 1e6
"""Sizes in um are smaller."""


@dataclass(frozen=True)
class LefMacro:
    """Size of a cell and the position of each pin, in um."""

    width: float
    height: float
    pins: dict[str, tuple[float, float]]

    def __lt__(self, other: "LefMacro") -> bool:
        return (self.width, self.height) < (other.width, other.height)


def read_lef(path: Path) -> dict[str, LefMacro]:
    """Read the macros of a LEF file; a pin is in the middle of its first rectangle.

    Raises
    ------
    PlacementError
        If the file cannot be read, or a macro has no size.
    """
    try:
        text = read_file(path, MAXIMUM_BYTES).decode()
    except (OSError, FileError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PlacementError(f"{path}: no LEF file: {reason}") from None
    macros = _macros(path, re.sub(r"#[^\n]*", "", text).split())
    if not macros:
        raise PlacementError(f"{path}: has no MACRO: give the LEF file of the cells")
    return macros


def _macros(path: Path, words: list[str]) -> dict[str, LefMacro]:
    """Read the macros of a file's words, each word once."""
    macros: dict[str, LefMacro] = {}
    macro = pin = ""
    size: list[float] = []
    pins: dict[str, tuple[float, float]] = {}
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        if word == "MACRO":
            macro, pin, size, pins = after, "", [], {}
        elif not macro:
            continue
        elif word == "END" and after == pin:
            pin = ""
        elif word == "END" and after == macro:
            if not size:
                raise PlacementError(f"{path}: macro {macro} has no SIZE")
            width, height = size
            macros[macro] = LefMacro(width, height, pins)
            macro = ""
        elif word == "PIN":
            pin = after
        elif word == "SIZE":
            size = _numbers(path, macro, words[place + 1 : place + 4 : 2], 2)
        elif word == "RECT" and pin and pin not in pins:
            x0, y0, x1, y1 = _numbers(path, macro, words[place + 1 : place + 5], 4)
            pins[pin] = ((x0 + x1) / 2, (y0 + y1) / 2)
    return macros


def _numbers(path: Path, macro: str, words: list[str], count: int) -> list[float]:
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or not all(abs(each) < LARGEST for each in found):
        raise PlacementError(f"{path}: macro {macro}: {' '.join(words)[:80]!r} is no size")
    return found
