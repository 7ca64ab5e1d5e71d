"""Verilog with marks that trace its branches to Amaranth statements.

Amaranth writes the source location of signals and operators to Verilog, but not of conditional
statements. Therefore each case of a process sets a bit of its own (a mark), which nothing reads. A
comment at the top of the file lists the statements of each mark.
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
    """Return a source location relative to the package, or "" if it is in a library."""
    path, _, line = place.rpartition(":")
    return f"{Path(path).relative_to(ROOT).as_posix()}:{line}" if _is_ours(path) else ""


def _is_ours(path: str) -> bool:
    return Path(path).is_relative_to(ROOT / "rtl") or Path(path).is_relative_to(ROOT / "verif")


class _MarkingEmitter(rtlil.ModuleEmitter):
    """Amaranth's module emitter, extended to add marks to processes."""

    places: list[str]
    """Comment lines that describe the marks; set by :func:`marked_verilog`."""

    def emit_assignment_list(self, cell_idx, cell):
        super().emit_assignment_list(cell_idx, cell)
        name, process = self.builder.contents.popitem()
        # Amaranth emits the assignments in order, after the default assignment.
        statements = iter(cell.assignments)
        mark = f"_mark{len(self.places)}"
        count = sum(1 for _ in _mark(process.contents[1:], statements, mark, self.places))
        if count:
            self.builder.wire(count, name=mark)
            process.contents.insert(0, rtlil.Assignment(f"\\{mark}", f"{count}'{'0' * count}"))
        self.builder.contents[name] = process


def _mark(contents, statements, mark: str, places: list[str], first: int = 0) -> Iterator[int]:
    """Add a mark to each case in ``contents``, describe it in ``places``, and yield its number."""
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
    """Return the Verilog of a component with marks.

    Names that are not signals of the design get the prefix ``_``: wires named by Amaranth, and
    parts and copies of signals.
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
