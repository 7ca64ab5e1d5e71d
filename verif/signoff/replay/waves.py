"""Save files of waveform viewers, with the streams and control signals of a model, grouped by
block.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vcd.gtkw import GTKWSave

__all__ = ["Scope", "read_scopes", "write_gtkwave", "write_surfer"]

WIDEST = 8
"""Bits of a control signal, at most: what is wider is data."""


@dataclass
class Signal:
    """A named net of a module."""

    name: str
    width: int


@dataclass
class Scope:
    """An instance and the signals to show of it."""

    path: tuple[str, ...]
    streams: dict[str, list[Signal]] = field(default_factory=dict)
    """``valid``, ``ready`` and ``payload`` of each stream."""
    control: list[Signal] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the group: the path below the top, or the top itself."""
        return ".".join(self.path[1:] or self.path)


def read_scopes(verilog: str, top: str) -> list[Scope]:
    """Return the scopes of generated Verilog that have a stream or a control signal, outer scopes
    first.
    """
    modules: dict[str, tuple[list[Signal], list[tuple[str, str]]]] = {}
    current: tuple[list[Signal], list[tuple[str, str]]] = ([], [])
    for line in verilog.splitlines():
        if found := re.match(r"module (\S+) ?\(", line):
            current = modules.setdefault(found[1].removeprefix("\\"), ([], []))
        elif found := re.match(r"  (?:wire|reg) (?:\[(\d+):0\] )?([A-Za-z]\w*)(?:;| =)", line):
            current[0].append(Signal(found[2], int(found[1] or 0) + 1))
        elif found := re.match(r"  (\\?[\w.]+)\s+(\w+) \($", line):
            current[1].append((found[1].removeprefix("\\"), found[2]))
    return list(_scopes(modules, top, (top,)))


def _scopes(modules, module: str, path: tuple[str, ...]) -> Iterator[Scope]:
    signals, instances = modules.get(module, ([], []))
    scope = Scope(path)
    for signal in {signal.name: signal for signal in signals}.values():
        stream, _, wire = signal.name.rpartition("__")
        if stream and wire in ("valid", "ready", "payload"):
            scope.streams.setdefault(stream, []).append(signal)
        elif signal.width <= WIDEST and signal.name not in ("clk", "rst"):
            scope.control.append(signal)
    if scope.streams or scope.control:
        yield scope
    for inner, name in instances:
        yield from _scopes(modules, inner, (*path, name))


def _path(scope: Scope, signal: Signal) -> str:
    return ".".join((*scope.path, signal.name))


def write_gtkwave(scopes: list[Scope], wave: Path, path: Path) -> None:
    """Write a save file of GTKWave."""
    with path.open("w", encoding="utf-8") as file:
        save = GTKWSave(file)
        save.dumpfile(str(wave))
        for name in ("clk", "rst"):
            save.trace(".".join((*scopes[0].path, name)))
        for number, scope in enumerate(scopes):
            with save.group(scope.name, closed=number > 0):
                for stream, signals in scope.streams.items():
                    save.blank(stream)
                    for signal in signals:
                        save.trace(_path(scope, signal) + _range(signal))
                if scope.control:
                    save.blank("control")
                for signal in scope.control:
                    save.trace(_path(scope, signal) + _range(signal))


def _range(signal: Signal) -> str:
    return f"[{signal.width - 1}:0]" if signal.width > 1 else ""


def write_surfer(scopes: list[Scope], wave: Path, path: Path) -> None:
    """Write a command file of Surfer: ``surfer --command-file FILE``."""
    lines = [f"load_file {wave}"]
    lines += [f"variable_add {'.'.join((*scopes[0].path, name))}" for name in ("clk", "rst")]
    for scope in scopes:
        for stream, signals in scope.streams.items():
            lines.append(f"divider_add {scope.name}: {stream}")
            lines += [f"variable_add {_path(scope, signal)}" for signal in signals]
        if scope.control:
            lines.append(f"divider_add {scope.name}: control")
            lines += [f"variable_add {_path(scope, signal)}" for signal in scope.control]
    path.write_text("\n".join([*lines, "zoom_fit", ""]), encoding="utf-8")
