"""Modules of a design that are the same are written once."""

import re
from collections import Counter

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from adq.rtl.port_types import Component
from adq.rtl.shared_modules import share_modules
from adq.rtl.verilog import to_verilog

pytestmark = pytest.mark.testpoint(
    reason="Text of Verilog: the tests of whole platforms simulate what it gives."
)


class Leaf(Component):
    """A register that keeps the larger of two values."""

    def __init__(self, *, larger: bool = True):
        self.larger = larger
        super().__init__({"a": In(4), "b": In(4), "q": Out(4)})

    def elaborate(self, platform):
        m = Module()
        first = Mux(self.a > self.b, self.a, self.b) if self.larger else self.a
        m.d.sync += self.q.eq(first)
        return m


class Branch(Component):
    """Two leaves, of which the second sees a value that has no name."""

    def __init__(self, *, larger: bool):
        self.larger = larger
        super().__init__({"x": In(4), "y": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.one = one = Leaf()
        m.submodules.two = two = Leaf(larger=self.larger)
        unnamed = Signal(4, name="")
        m.d.comb += [
            unnamed.eq(self.x + 1),
            one.a.eq(self.x),
            one.b.eq(unnamed ^ 3),
            two.a.eq(one.q),
            two.b.eq(unnamed),
            self.y.eq(two.q),
        ]
        return m


class Tree(Component):
    """Branches in a row, the last of another kind."""

    def __init__(self, branches: int):
        self.branches = branches
        super().__init__({"x": In(4), "y": Out(4)})

    def elaborate(self, platform):
        m = Module()
        value = self.x
        for number in range(self.branches):
            branch = Branch(larger=number < self.branches - 1)
            m.submodules[f"branch_{number}"] = branch
            m.d.comb += branch.x.eq(value)
            value = branch.y
        m.d.comb += self.y.eq(value)
        return m


def modules(verilog: str) -> dict[str, str]:
    """Text of each module, by name."""
    found = re.findall(r"^module (\\?[^\s(]+)(.*?)^endmodule", verilog, re.MULTILINE | re.DOTALL)
    assert len(found) == len(dict(found))
    return dict(found)


def instances(text: str) -> list[tuple[str, str, str]]:
    """Module, name and ports of each instance in a module."""
    return re.findall(r"^  (\\?\S+) +(\\?\S+) +\(\n((?:    \..*\n)+)  \);", text, re.MULTILINE)


def paths(found: dict[str, str], module: str, path: str = "top") -> list[str]:
    """Path of each instance below a module."""
    below = [path]
    for kind, name, _ in instances(found[module]):
        below += paths(found, kind, f"{path}.{name}")
    return below


@pytest.fixture(scope="module")
def verilog() -> str:
    return to_verilog(Tree(4), name="tree")


def test_modules_of_a_kind_are_one(verilog):
    before, after = modules(verilog), modules(share_modules(verilog))
    assert len(before) == 1 + 4 + 8
    # The top, two kinds of branches and two kinds of leaves.
    assert len(after) == 5
    assert Counter(kind for text in after.values() for kind, _, _ in instances(text)) == {
        "\\tree.branch_0": 3,
        "\\tree.branch_3": 1,
        "\\tree.branch_0.one": 3,
        "\\tree.branch_3.two": 1,
    }


def test_instances_stay_where_they_are(verilog):
    assert sorted(paths(modules(share_modules(verilog)), "tree")) == sorted(
        paths(modules(verilog), "tree")
    )


def test_instances_have_the_ports_of_their_modules(verilog):
    found = modules(share_modules(verilog))
    for text in found.values():
        for kind, _, connected in instances(text):
            ports = re.match(r" *\((.*?)\);", found[kind], re.DOTALL)[1].replace(",", " ").split()
            assert sorted(re.findall(r"^    \.(\\?[^\s(]+)", connected, re.MULTILINE)) == sorted(
                ports
            )


def test_what_is_shared_stays(verilog):
    once = share_modules(verilog)
    assert share_modules(once) == once


def test_text_that_is_no_verilog():
    with pytest.raises(ValueError, match="an endmodule without a module"):
        share_modules("wire x;\nendmodule\n")
