"""Parts of a design: a component whose large submodules are black boxes, and these by themselves.

A submodule that stands in several places is elaborated and mapped once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Value
from amaranth.lib.wiring import In

from adq.rtl.port_types import Component
from adq.rtl.verilog import ELABORATION, to_rtlil

__all__ = ["Part", "cut"]

_CELL = re.compile(r"^(module|  cell) \\(\S+)(?: \\(\S+))?$", re.MULTILINE)


@dataclass
class Part:
    """A component without those of its submodules that are parts of their own.

    Attributes
    ----------
    name : of its top module
    source : RTLIL, in which the parts are empty modules named ``name.path``
    parts : by their path in it
    """

    name: str
    source: str = field(repr=False)
    parts: Mapping[str, "Part"] = field(repr=False)

    def places(self, path: str = "") -> Iterator[tuple[str, "Part"]]:
        """Yield this part and all within it with their paths; a part comes before those in it."""
        yield path, self
        for below, part in self.parts.items():
            yield from part.places(f"{path}.{below}" if path else below)


def cut(component: Component, kinds: Sequence[type[Component]], *, name: str) -> Part:
    """Elaborate a component, and each different submodule of some kinds, apart from each other.

    Two submodules are the same if they are of one class and have the same signature and the same
    other attributes. What resets or enables them must come through their ports and their clock
    domain: ``ResetInserter`` and ``EnableInserter`` do not reach into a black box.
    """
    done: list[tuple[Component, Part]] = []

    def part_of(component: Component, name: str) -> Part:
        for other, part in done:
            if _attributes(other) == _attributes(component):
                return part
        boxes: dict[str, Component] = {}
        others = [kind for kind in kinds if not isinstance(component, kind)]
        with ELABORATION, _black_boxes(others, boxes):
            source = to_rtlil(component, name=name)
        paths: dict[str, Component] = {}
        module = ""

        def place(match: re.Match[str]) -> str:
            nonlocal module
            word, kind, cell = match.groups()
            if word == "module":
                module = kind
            elif kind in boxes:
                full = f"{module}.{cell}"
                paths[full.removeprefix(f"{name}.")] = boxes[kind]
                return f"  cell \\{full} \\{cell}"
            return match[0]

        source = _CELL.sub(place, source)
        source += "".join(_empty(box, f"{name}.{path}") for path, box in paths.items())
        parts = {
            path: part_of(box, re.sub(r"(?<!^)(?=[A-Z])", "_", type(box).__name__).lower())
            for path, box in paths.items()
        }
        done.append((component, Part(name, source, parts)))
        return done[-1][1]

    return part_of(component, name)


def _attributes(component: Component) -> tuple[object, ...]:
    """Return what tells a component from others."""
    own = {
        name: each
        for name, each in vars(component).items()
        if name not in component.signature.members
        and not name.startswith("_MustUse__")  # Amaranth's notes on where it was made
    }
    return type(component), component.signature, own


def _ports(component: Component) -> Iterator[tuple[str, bool, Value]]:
    """Yield the ports of a component by the names that Amaranth gives them, whether they are
    inputs, and their values.
    """
    yield "clk", True, ClockSignal()
    yield "rst", True, ResetSignal()
    member: Any  # the stubs take it for its flow
    for path, member, port in component.signature.flatten(component):
        value = Value.cast(port)
        if len(value):
            yield "__".join(map(str, path)), member.flow == In, value


@contextmanager
def _black_boxes(kinds: Sequence[type[Component]], boxes: dict[str, Component]) -> Iterator[None]:
    """Elaborate components of some kinds as instances, whose types are the keys of ``boxes``."""

    def elaborate(component: Component, platform: object) -> Instance:
        kind = f"black_box_{len(boxes)}"
        boxes[kind] = component
        ports = {f"{'i' if given else 'o'}_{n}": value for n, given, value in _ports(component)}
        return Instance(kind, **ports)

    method = "elaborate"  # Amaranth has no way to replace submodules from outside
    with ExitStack() as stack:
        for kind in kinds:
            stack.callback(setattr, kind, method, getattr(kind, method))
            setattr(kind, method, elaborate)
        yield


def _empty(component: Component, name: str) -> str:
    """Return an empty module with the ports of a component."""
    lines = [f"module \\{name}"]
    for number, (port, given, value) in enumerate(_ports(component)):
        direction = "input" if given else "output"
        lines.append(f"  wire width {len(value)} {direction} {number} \\{port}")
    return "\n".join([*lines, "end", ""])
