"""Sizes and pins of cells, read from a LEF file."""

import re
from dataclasses import dataclass
from pathlib import Path

from adq.verif.placement.errors import PlacementError

__all__ = ["LefMacro", "read_lef"]


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise PlacementError(f"{path}: no LEF file: {reason}") from None
    text = re.sub(r"#[^\n]*", "", text)
    macros = {}
    for name, body in re.findall(r"^\s*MACRO\s+(\S+)(.*?)^\s*END\s+\1\s*$", text, re.M | re.S):
        size = re.search(r"\bSIZE\s+([\d.]+)\s+BY\s+([\d.]+)", body)
        if size is None:
            raise PlacementError(f"{path}: macro {name} has no SIZE")
        pins = {}
        for pin, inside in re.findall(r"^\s*PIN\s+(\S+)(.*?)^\s*END\s+\1\s*$", body, re.M | re.S):
            rectangle = re.search(r"\bRECT((?:\s+-?[\d.]+){4})", inside)
            if rectangle is not None:
                x0, y0, x1, y1 = map(float, rectangle[1].split())
                pins[pin] = ((x0 + x1) / 2, (y0 + y1) / 2)
        macros[name] = LefMacro(float(size[1]), float(size[2]), pins)
    if not macros:
        raise PlacementError(f"{path}: has no MACRO: give the LEF file of the cells")
    return macros
