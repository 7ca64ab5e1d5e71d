"""Timing diagrams as SVG, for light and dark pages alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bits", "Clock", "Group", "Span", "Words", "draw"]

CELL, ROW, GAP, LABELS, TOP = 48, 18, 7, 136, 26
SLANT = 3

STYLE = """
text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #57606a }
.group { font-weight: bold }
.value { font-size: 10px; text-anchor: middle }
.cycle { font-size: 9px; text-anchor: middle; opacity: 0.8 }
.grid { stroke: #8c959f; stroke-width: 0.5; opacity: 0.35 }
.bit { fill: none; stroke: #1a7f5a; stroke-width: 1.5; stroke-linejoin: round }
.word { fill: #4c8dd6; fill-opacity: 0.14; stroke: #4c8dd6; stroke-width: 1.2 }
.none { stroke: #8c959f; stroke-width: 1; opacity: 0.6 }
.span { stroke: #bf5b00; stroke-width: 1.2; fill: none }
.span-label { fill: #bf5b00; text-anchor: middle }
@media (prefers-color-scheme: dark) {
  text { fill: #adb5be }
  .bit { stroke: #3fb98a }
  .span { stroke: #e8923d }
  .span-label { fill: #e8923d }
}
"""


@dataclass(frozen=True)
class Bits:
    """A wire: its level in each cycle."""

    name: str
    levels: Sequence[int]


@dataclass(frozen=True)
class Clock:
    """A clock, which rises at the start of each cycle."""

    name: str


@dataclass(frozen=True)
class Words:
    """A bus: its value in each cycle as text, None where it means nothing. Values next to each
    other are one where they are equal, unless each is a beat of its own.
    """

    name: str
    values: Sequence[str | None]
    beats: bool = False


@dataclass(frozen=True)
class Span:
    """A time to point at, in cycles: 2 is the start of cycle 2, 2.5 its middle."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Group:
    """Rows that belong together."""

    name: str
    rows: Sequence[Bits | Clock | Words | Span]


def draw(groups: Sequence[Group], *, cycles: int, title: str) -> str:
    """SVG of the rows of all groups, from top to bottom, over ``cycles`` cycles."""
    parts, y = [], TOP
    for group in groups:
        if group.name:
            parts.append(_text(4, y + ROW - 5, group.name, "group"))
            y += ROW
        for row in group.rows:
            parts.append(_text(12, y + ROW - 5, "" if isinstance(row, Span) else row.name, ""))
            parts += _ROWS[type(row)](row, y, cycles)
            y += ROW + GAP
    width, height = LABELS + cycles * CELL + 8, y + 2
    grid = []
    for cycle in range(cycles + 1):
        x = LABELS + cycle * CELL
        grid.append(f'<path class="grid" d="M{x} {TOP - 8}V{height - 4}"/>')
        if cycle < cycles:
            grid.append(_text(x + CELL / 2, TOP - 12, str(cycle), "cycle"))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        _text(4, TOP - 12, "cycle", ""),
        *grid,
        *(part for part in parts if part),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _text(x: float, y: float, text: str, kind: str) -> str:
    if not text:
        return ""
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(text)}</text>'


def _bits(row: Bits, y: float, cycles: int) -> list[str]:
    points = []
    for cycle, level in enumerate(row.levels):
        x, height = LABELS + cycle * CELL, y + (1 if level else ROW - 1)
        points += [f"{x} {height}", f"{x + CELL} {height}"]
    return [f'<polyline class="bit" points="{" ".join(points)}"/>']


def _clock(row: Clock, y: float, cycles: int) -> list[str]:
    half = CELL // 2
    high = f"V{y + 1}h{half}V{y + ROW - 1}h{half}"
    return [f'<path class="bit" d="M{LABELS} {y + ROW - 1}{high * cycles}"/>']


def _words(row: Words, y: float, cycles: int) -> list[str]:
    parts, start = [], 0
    middle = y + ROW / 2
    for cycle in range(1, cycles + 1):
        more = cycle < cycles and row.values[cycle] == row.values[start]
        value = row.values[start]
        if more and not (row.beats and value is not None):
            continue
        left, right = LABELS + start * CELL, LABELS + cycle * CELL
        if value is None:
            parts.append(f'<path class="none" d="M{left} {middle}H{right}"/>')
        else:
            parts.append(
                f'<path class="word" d="M{left} {middle}L{left + SLANT} {y + 1}'
                f"H{right - SLANT}L{right} {middle}L{right - SLANT} {y + ROW - 1}"
                f'H{left + SLANT}Z"/>'
            )
            parts.append(_text((left + right) / 2, middle + 3.5, value, "value"))
        start = cycle
    return parts


def _span(row: Span, y: float, cycles: int) -> list[str]:
    left, right = (LABELS + round(time * CELL) for time in (row.start, row.end))
    line = y + ROW - 3
    return [
        f'<path class="span" d="M{left} {line - 4}v8M{right} {line - 4}v8M{left} {line}H{right}"/>',
        _text((left + right) / 2, line - 5, row.label, "span-label"),
    ]


_ROWS = {Bits: _bits, Clock: _clock, Words: _words, Span: _span}
