"""Verilog whose branches can be traced back to the Amaranth statements that they came from.

Amaranth's Verilog says where signals and operators stand in the sources, but not where a
conditional statement does. Each case of a process therefore sets a bit of its own, which nothing
reads, and a comment at the top says which statements that case holds.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from adq.rtl.verilog import ELABORATION, convert_to_verilog
from adq.verif.sources import PACKAGE

__all__ = ["ROOT", "marked_verilog", "source_of"]

ROOT = PACKAGE


def source_of(place: str) -> str:
    """A place in our sources, from the root; empty where it is in a library."""
    path, _, line = place.rpartition(":")
    return f"{Path(path).relative_to(ROOT).as_posix()}:{line}" if _is_ours(path) else ""


def _is_ours(path: str) -> bool:
    return Path(path).is_relative_to(ROOT / "rtl") or Path(path).is_relative_to(ROOT / "verif")


class _MarkingEmitter(rtlil.ModuleEmitter):
    """Amaranth's, that adds marks to processes as it writes them."""

    places: list[str]
    """Lines of the comment; set by :func:`marked_verilog`."""

    def emit_assignment_list(self, cell_idx, cell):
        super().emit_assignment_list(cell_idx, cell)
        name, process = self.builder.contents.popitem()
        # Assignments are written in their order, behind that of the default.
        statements = iter(cell.assignments)
        mark = f"_mark{len(self.places)}"
        count = sum(1 for _ in _mark(process.contents[1:], statements, mark, self.places))
        if count:
            self.builder.wire(count, name=mark)
            process.contents.insert(0, rtlil.Assignment(f"\\{mark}", f"{count}'{'0' * count}"))
        self.builder.contents[name] = process


def _mark(contents, statements, mark: str, places: list[str], first: int = 0) -> Iterator[int]:
    """Add a mark to each case below some contents, and say what it holds."""
    number = first
    for switch in contents:
        if isinstance(switch, rtlil.Assignment):
            continue
        for case in switch.cases:
            own, number_of_case = [], number
            number += 1
            yield number_of_case
            for item in list(case.contents):
                if isinstance(item, rtlil.Assignment):
                    own.append(next(statements))
                else:
                    for inner in _mark([item], statements, mark, places, number):
                        number = inner + 1
                        yield inner
            case.contents.insert(0, rtlil.Assignment(f"\\{mark} [{number_of_case}]", "1'1"))
            found = {source_of(f"{path}:{line}") for path, line in (s.src_loc for s in own)}
            places.append(f"// {mark}[{number_of_case}] {' '.join(sorted(found - {''}))}")


def marked_verilog(component: wiring.Component, *, name: str) -> str:
    """Verilog of a component with marks, and with an underscore in front of the names that are not
    the design's own: those of wires that Amaranth named, and of parts and copies of signals.
    """
    emitter = type("Emitter", (_MarkingEmitter,), {"places": []})
    with ELABORATION:
        before, rtlil.ModuleEmitter = rtlil.ModuleEmitter, emitter
        try:
            text = convert_to_verilog(component, name=name, sources=True)
        finally:
            rtlil.ModuleEmitter = before
    text = re.sub(r"\\(\S*[.$]\S*) ", r"\\_\1 ", text)
    return "\n".join([*emitter.places, text])
