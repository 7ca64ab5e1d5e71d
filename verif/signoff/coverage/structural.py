"""Structural coverage: line, branch and toggle counts of Verilator, mapped to Amaranth sources.

``coverage.dat`` has one line per point: keys and values, separated by control characters, and a
count. Each point belongs to an instance. The counts of all runs of a model are added.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adq.verif.signoff.coverage.marking import source_of
from adq.verif.signoff.plan.testplan import Exclusion

__all__ = ["ARGUMENTS", "KINDS", "Instance", "Point", "read_points", "tabulate"]

ARGUMENTS = (
    *("--coverage-line", "--coverage-toggle", "--coverage-max-width", "1000000"),
    "-Wno-ALWNEVER",  # a condition that is constant keeps its mark
)
"""Verilator arguments that enable coverage."""

KINDS = ("line", "branch", "toggle")

SOURCE = re.compile(r'src = "([^"]*)"')
MARK = re.compile(r"^\s*(_mark\d+)(?:\[(\d+)\])? = 1'h1;")
PLACE = re.compile(r"^(?:/\*.*\*/ )?// (_mark\d+)\[(\d+)\] (.*)$")
"""Places of a mark; in front of the first one stand the simulator's waivers."""


@dataclass(frozen=True, order=True)
class Point:
    """Coverage point of an instance."""

    instance: str
    """Name of the model, a space, and the instance path, which is empty for the top."""
    kind: str
    """One of ``KINDS``."""
    name: str
    """Location of a line; location and direction of a branch; bit and edge of a toggle."""
    source: str
    """``rtl/file.py:line``."""


class Text:
    """Generated Verilog, and the source locations of its lines."""

    def __init__(self, verilog: str):
        self.lines = verilog.splitlines()
        self.places = {}
        for line in self.lines:
            found = PLACE.match(line)
            if not found:
                break
            mark, bit, places = found.groups()
            self.places[mark, int(bit)] = places.split()
        self.module_sources = list(self._module_sources())

    def _module_sources(self) -> Iterator[str]:
        """Yield the source location of the module of each line."""
        place = before = ""
        for line in self.lines:
            attribute = SOURCE.search(line) if line.startswith("(* src") else None
            if attribute:
                before = source_of(attribute[1])
            if line.startswith("module "):
                place = before
            yield place

    def declared(self, number: int) -> str:
        """Return the source location of the signal that a line declares."""
        for line in reversed(self.lines[max(0, number - 4) : number - 1]):
            attribute = SOURCE.search(line)
            if attribute:
                return source_of(attribute[1].split("|")[0]) or self.module_sources[number - 1]
            if not line.lstrip().startswith(("(*", "wire", "reg")):
                break
        return self.module_sources[number - 1]

    def inline(self, number: int) -> str:
        """Return the source location of the last operator in a line."""
        attributes = SOURCE.findall(self.lines[number - 1])
        return source_of(attributes[-1]) if attributes else self.module_sources[number - 1]

    def mark(self, numbers: Iterable[int]) -> tuple[str, int] | None:
        """Return the first mark that is set in the given lines, or None."""
        for number in numbers:
            found = MARK.match(self.lines[number - 1]) if number <= len(self.lines) else None
            if found:
                return found[1], int(found[2] or 0)
        return None


def spans(text: str) -> list[int]:
    """Return the numbers of a list such as ``1,3-5``."""
    numbers = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def decoded(name: str) -> str:
    """Return a name as written in the Verilog, with Verilator's escapes decoded."""
    return re.sub(r"__0([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), name, flags=re.I)


def read_points(model: str, verilog: str, files: Sequence[Path]) -> Counter[Point]:
    """Return the count of every point of a model, summed over the ``coverage.dat`` of its runs.

    Parameters
    ----------
    model
        Name of the model, the prefix of instance names.
    verilog
        Verilog from :func:`adq.verif.signoff.coverage.marking.marked_verilog`.
    files
        The ``coverage.dat`` files.

    Raises
    ------
    ValueError
        If a file is not a coverage file.
    """
    raw: Counter[str] = Counter()
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("C "):
                keys, _, count = line.rpartition(" ")
                raw[keys] += int(count)
    text = Text(verilog)
    counts: Counter[Point] = Counter()
    entries = [
        (dict(part.split("\2") for part in keys[3:-1].split("\1")[1:]), count)
        for keys, count in raw.items()
    ]
    # Statements at the same location, such as those of a loop, are distinguished by their order.
    entries.sort(key=lambda entry: (int(entry[0]["l"]), int(entry[0]["n"])))
    names: dict[tuple, dict[object, int]] = defaultdict(dict)

    def numbered(where: tuple, key: object) -> str:
        numbers = names[where]
        return f"[{numbers.setdefault(key, len(numbers))}]"

    for entry, count in entries:
        instance = f"{model} {entry['h'].partition('.')[2]}"
        number, comment = int(entry["l"]), entry["o"]
        if entry["t"] == "toggle":
            name = decoded(comment.rpartition(":")[0]) + comment[comment.rindex(":") :]
            counts[Point(instance, "toggle", name, text.declared(number))] += count
        elif comment.startswith("cond"):
            place = text.inline(number)
            way = comment.removeprefix("cond_")
            index = numbered((instance, "cond", place), (number, int(entry["n"]) - (way == "else")))
            counts[Point(instance, "branch", f"{place}{index} choice {way}", place)] += count
        elif comment != "block" and "verilog_backend.cc" not in text.lines[number - 1]:
            taken = bool(entry.get("S"))
            mark = text.mark(spans(entry["S"]) if taken else [number + 1])
            if mark is None:
                continue
            places = text.places[mark] or [text.module_sources[number - 1]]
            index = numbered((instance, "if", places[0]), mark)
            way = "taken" if taken else "not taken"
            branch = Point(instance, "branch", f"{places[0]}{index} {way}", places[0])
            counts[branch] += count
            if taken:
                for place in places:
                    counts[Point(instance, "line", place, place)] += count
    return counts


@dataclass(frozen=True)
class Instance:
    """Coverage totals of an instance."""

    name: str
    totals: dict[str, dict[str, int]]
    """By kind: numbers of points ``hit``, in ``total`` (without excluded ones) and ``excluded``."""

    def to_json(self) -> dict:
        """Return the totals as plain values for JSON."""
        return {"instance": self.name, **self.totals}


def tabulate(
    counts: Counter[Point], exclusions: Sequence[Exclusion]
) -> tuple[list[Instance], list[Point], list[tuple[Point, str]], list[Exclusion]]:
    """Summarize coverage and apply exclusions.

    Returns
    -------
    instances : list of Instance
        Totals of each instance.
    missing : list of Point
        Points that were neither hit nor excluded.
    excluded : list of (Point, str)
        Points that were not hit but are excluded, with the reason.
    unused : list of Exclusion
        Exclusions that match no point that was not hit.
    """
    instances: dict[str, dict[str, dict[str, int]]] = {}
    missing, excluded, used = [], [], set()
    for point in sorted(counts):
        totals = instances.setdefault(
            point.instance, {kind: dict.fromkeys(("hit", "total", "excluded"), 0) for kind in KINDS}
        )[point.kind]
        if counts[point]:
            totals["hit"] += 1
            totals["total"] += 1
            continue
        for exclusion in exclusions:
            if exclusion.kind == point.kind and _matches(exclusion, point):
                used.add(exclusion)
                totals["excluded"] += 1
                excluded.append((point, exclusion.reason))
                break
        else:
            totals["total"] += 1
            missing.append(point)
    unused = [exclusion for exclusion in exclusions if exclusion not in used]
    table = [Instance(name, totals) for name, totals in sorted(instances.items())]
    return table, missing, excluded, unused


def _matches(exclusion: Exclusion, point: Point) -> bool:
    return bool(re.fullmatch(exclusion.instance, point.instance)) and any(
        re.fullmatch(pattern, point.name) for pattern in exclusion.points
    )
