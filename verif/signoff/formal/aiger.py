"""And-inverter graphs in the binary AIGER format (Biere, 2007), as written by Yosys and read by
ABC.

A literal is twice a variable, plus one where it is inverted; 0 and 1 are the constants. Variables
are numbered in the order inputs, latches, ANDs.
"""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Aig"]


@dataclass(frozen=True)
class Aig:
    """A sequential circuit.

    Attributes
    ----------
    inputs : tuple of str
        Names.
    latches : list of (int, int)
        Next state, a literal, and the value at reset.
    outputs : dict of str to int
        Literals, by name.
    ands : list of (int, int)
        Literals of the operands.
    registers : dict of int to tuple of str
        Names of each latch, with a ``!`` where the latch holds the inverse.
    """

    inputs: tuple[str, ...]
    latches: list[tuple[int, int]]
    outputs: dict[str, int]
    ands: list[tuple[int, int]]
    registers: dict[int, tuple[str, ...]]

    @cached_property
    def first_latch(self) -> int:
        """Variable of the first latch."""
        return 1 + len(self.inputs)

    @cached_property
    def first_and(self) -> int:
        """Variable of the first AND."""
        return self.first_latch + len(self.latches)

    @classmethod
    def read(cls, content: bytes) -> "Aig":
        """Parse a file with symbols for all inputs, latches and outputs."""
        header, _, rest = content.partition(b"\n")
        _, inputs, latches, outputs, ands = map(int, header.split()[1:6])
        lines = rest.split(b"\n", latches + outputs)
        body = lines.pop()
        states = [
            (int(words[0]), int(words[1]) if len(words) > 1 else 0)
            for words in map(bytes.split, lines[:latches])
        ]
        place, operands = 0, []

        def number() -> int:
            nonlocal place
            value = shift = 0
            while True:
                octet = body[place]
                place += 1
                value |= (octet & 0x7F) << shift
                if octet < 0x80:
                    return value
                shift += 7

        for index in range(ands):
            left = 2 * (1 + inputs + latches + index) - number()
            operands.append((left, left - number()))
        names = {
            (kind, int(index)): name.decode()
            for kind, index, name in re.findall(rb"^([io])(\d+) (\S+)", body[place:], re.MULTILINE)
        }
        registers = {
            int(index): tuple(several.decode().split())
            for index, several in re.findall(rb"^l(\d+) (.+)$", body[place:], re.MULTILINE)
        }
        return cls(
            tuple(names[b"i", index] for index in range(inputs)),
            states,
            {names[b"o", index]: int(line) for index, line in enumerate(lines[latches:])},
            operands,
            registers,
        )

    def cone(self, literals: Iterable[int], but: Set[int] = frozenset()) -> set[int]:
        """Return the variables of the ANDs that literals depend on in the same cycle, without some
        variables and what those depend on.
        """
        seen: set[int] = set()
        first, ands = self.first_and, self.ands
        left = [literal >> 1 for literal in literals]
        while left:
            variable = left.pop()
            if variable >= first and variable not in seen and variable not in but:
                seen.add(variable)
                one, other = ands[variable - first]
                left += (one >> 1, other >> 1)
        return seen

    def write(self) -> bytes:
        """Return the file's bytes, with symbols for inputs and outputs."""
        first = 1 + len(self.inputs) + len(self.latches)
        sizes = (first - 1 + len(self.ands), len(self.inputs), len(self.latches))
        lines = [f"aig {' '.join(map(str, (*sizes, len(self.outputs), len(self.ands))))}"]
        lines += [f"{following} {reset}" for following, reset in self.latches]
        lines += [str(output) for output in self.outputs.values()]
        body = bytearray()
        for index, (high, low) in enumerate(self.ands):
            for value in (2 * (first + index) - high, high - low):
                while value >= 0x80:
                    body.append(value & 0x7F | 0x80)
                    value >>= 7
                body.append(value)
        symbols = [f"i{place} {name}" for place, name in enumerate(self.inputs)]
        symbols += [f"o{place} {name}" for place, name in enumerate(self.outputs)]
        return b"".join(
            ("\n".join(part) + "\n").encode() if isinstance(part, list) else bytes(part)
            for part in (lines, body, symbols)
        )
