"""Mutants of a generated design, all compiled into one model."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from adq.golden.files.directory import temporary_directory
from adq.verif.synthesis.mapping import yosys

__all__ = ["SELECT", "FlatDesign", "Mutant", "MutantError"]

SELECT = "mutant"
"""Input that says which mutant is active: 0 for none."""

PREPARE = "read_rtlil design.il\nproc\nflatten\npmuxtree\nopt_expr\nopt_clean\n"
"""A flat design whose cells keep the lines of Amaranth that they come from. A choice among many is
a tree of choices between two: it means something, too, where two of its conditions hold."""

CELLS = "*/c:*{part} */t:$meminit* %d"
"""Cells that are mutated, of a part: all but the contents of a memory before it is first
written."""

CLOCK = "-port CLK "
"""Left alone: whether the clock ticks is not this design's to say."""


class MutantError(RuntimeError):
    """Mutants cannot be made, or there are none where they were requested."""


@dataclass(frozen=True)
class Mutant:
    """A change of one bit of one port of one cell of the flat design.

    Attributes
    ----------
    number : int
        From 1; the value of the select input that makes it active.
    mode : str
        Of Yosys' ``mutate``: ``inv`` the bit inverted, ``const0`` and ``const1`` stuck,
        ``cnot0`` and ``cnot1`` inverted where another bit of the port is 0 or 1.
    part : str
        Path of the component that holds the cell, as in ``shift_add.fuser``; the design at the top.
    arguments : str
        Those of ``mutate`` that name cell, port and bits.
    place : str
        Cell, port and bit, and the wire there if it has a name, for people.
    sources : tuple of str
        Lines of Amaranth, as in ``rtl/tile.py:70``.
    """

    number: int
    mode: str
    part: str
    arguments: str
    place: str
    sources: tuple[str, ...]

    def as_dict(self) -> dict:
        """Return the mutant as plain values for JSON."""
        return asdict(self)

    @property
    def command(self) -> str:
        """Return the Yosys command that makes the change permanent."""
        return f"mutate -mode {self.mode} {self.arguments}"


class FlatDesign:
    """Flat word-level netlist of a component in Yosys.

    Parameters
    ----------
    component : wiring.Component
    name : str
        Of its module.
    prepare : str
        Commands of Yosys that follow on flattening.

    Raises
    ------
    adq.verif.synthesis.mapping.SynthesisError
        If Yosys fails.
    """

    def __init__(self, component: wiring.Component, name: str, *, prepare: str = ""):
        self.component = component
        self.name = name
        self.prepare = PREPARE + prepare
        self.text = rtlil.convert(component, name=name, emit_src=True)

    def run(self, script: str, directory: Path, what: str) -> None:
        """Run a Yosys script on the flat design, in the folder that holds its input files."""
        (directory / "design.il").write_text(self.text, encoding="utf-8")
        (directory / "script.ys").write_text(self.prepare + script, encoding="utf-8")
        yosys(directory, "script script.ys", what)

    def output(self, script: str, output: str, what: str) -> str:
        """Return a file that a Yosys script writes from the flat design."""
        with temporary_directory() as folder:
            self.run(script, folder, what)
            return (folder / output).read_text(encoding="utf-8")

    def mutants(self, count: int, *, seed: int, only: str = "") -> list[Mutant]:
        """Return mutants, spread over lines, wires and kinds of change as evenly as Yosys draws
        them.

        Parameters
        ----------
        only
            Part of the design, with all below it; everywhere where it is empty.

        Raises
        ------
        MutantError
            If there is no such part.
        """
        if only and not any(f"{part}.".startswith(f"{only}.") for part in self.parts):
            raise MutantError(f"no part {only!r}: parts are {', '.join(self.parts)}")
        # More cells than those of the part may match; they are left out below.
        cells = CELLS.format(part=only.replace(".", ".*") + ".*" if only else "")
        asked = count
        while True:
            asked += asked // 8 + 16  # for the clock's
            drawn = self.output(
                f"mutate -list {asked} -seed {seed} -o list.txt {cells}\n",
                "list.txt",
                "list mutants",
            ).splitlines()
            mutants = []
            for line in drawn:
                if len(mutants) < count and CLOCK not in line:
                    mutant = _parse(line, len(mutants) + 1, self.name)
                    if not only or f"{mutant.part}.".startswith(f"{only}."):
                        mutants.append(mutant)
            if len(mutants) == count or len(drawn) < asked:
                break
        if not mutants:
            raise MutantError(f"no mutant in {only or self.name}")
        return mutants

    @property
    def ports(self) -> list[str]:
        """Return the names of the ports in Verilog, including clock and reset."""
        paths = (path for path, _, _ in self.component.signature.flatten(self.component))
        return ["clk", "rst", *("__".join(map(str, path)) for path in paths)]

    @cached_property
    def parts(self) -> list[str]:
        """Return the paths of the components of the design."""
        names = re.findall(rf"^module \\{self.name}\.(\S+)", self.text, re.MULTILINE)
        return [self.name, *sorted(names)]

    def mutated(self, mutants: Sequence[Mutant], *, optimize: str = "opt_dff\nopt_clean") -> str:
        """Return Verilog of the design with the mutants and an input that selects one of them."""
        width = len(mutants).bit_length()
        commands = [
            f"{mutant.command} -ctrl {SELECT} {width} {mutant.number} -module {self.name}"
            for mutant in mutants
        ]
        commands += [optimize, "write_verilog -norename -noattr mutated.v", ""]
        return self.output("\n".join(commands), "mutated.v", "insert mutants")


def _parse(line: str, number: int, top: str) -> Mutant:
    """Parse a line of the output of ``mutate -list``."""
    words = line.split()
    options = list(zip(words[1::2], words[2::2], strict=True))
    given = dict(options)
    path = given["-cell"].removeprefix("$flatten").replace("\\", "")
    names = path.split(".")
    inside = list(itertools.takewhile(lambda name: not name.startswith("$"), names[:-1]))
    place = f"{'.'.join(names[len(inside) :])}.{given['-port']}[{given['-portbit']}]"
    if "-wire" in given:
        place += f" {given['-wire']}[{given['-wirebit']}]"
    sources = [_short(value) for option, value in options if option == "-src"]
    named = ("-cell", "-port", "-portbit", "-ctrlbit")
    return Mutant(
        number=number,
        mode=given["-mode"],
        part=".".join(inside) or top,
        arguments=" ".join(f"{name} {given[name]}" for name in named if name in given),
        place=place,
        sources=tuple(dict.fromkeys(sources)),
    )


def _short(source: str) -> str:
    """Shorten an absolute source location to ``rtl/file.py:line``."""
    path, _, line = source.partition(":")
    parts = Path(path).parts
    start = len(parts) - 1 - parts[::-1].index("rtl") if "rtl" in parts else len(parts) - 3
    return f"{'/'.join(parts[start:])}:{line}"
