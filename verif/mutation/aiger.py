"""And-inverter graphs in the binary AIGER format (Biere, 2007), as Yosys writes and ABC reads it.

A literal is twice a variable, plus one where it is inverted; 0 and 1 are the constants. Variables
are numbered in the order inputs, latches, ANDs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

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
    outputs : list of int
        Literals.
    ands : list of (int, int)
        Literals of the operands.
    """

    inputs: tuple[str, ...]
    latches: list[tuple[int, int]]
    outputs: list[int]
    ands: list[tuple[int, int]]

    @classmethod
    def read(cls, content: bytes) -> "Aig":
        """Parse a file with symbols for all inputs."""
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
        names = dict(re.findall(rb"^i(\d+) (\S+)", body[place:], re.MULTILINE))
        return cls(
            tuple(names[b"%d" % index].decode() for index in range(inputs)),
            states,
            [int(line) for line in lines[latches:]],
            operands,
        )

    def with_inputs(self, values: Mapping[str, int]) -> "Aig":
        """The circuit in which some inputs are constant."""
        left = [name for name in self.inputs if name not in values]
        places = {name: 2 * (1 + place) for place, name in enumerate(left)}
        # What became of each variable, as a literal of the new circuit.
        became = [0, *(values.get(name, places.get(name)) for name in self.inputs)]
        free = 1 + len(left) + len(self.latches)
        became += (2 * variable for variable in range(1 + len(left), free))
        kept = []

        def now(literal: int) -> int:
            return became[literal >> 1] ^ (literal & 1)

        for operands in self.ands:
            low, high = sorted(map(now, operands))
            if low == 0 or low ^ 1 == high:
                became.append(0)
            elif low in (1, high):
                became.append(high)
            else:
                became.append(2 * (free + len(kept)))
                kept.append((high, low))
        latches = [(now(following), reset) for following, reset in self.latches]
        return Aig(tuple(left), latches, [now(output) for output in self.outputs], kept)

    def write(self) -> bytes:
        """The file, with symbols for the inputs."""
        first = 1 + len(self.inputs) + len(self.latches)
        sizes = (first - 1 + len(self.ands), len(self.inputs), len(self.latches))
        lines = [f"aig {' '.join(map(str, (*sizes, len(self.outputs), len(self.ands))))}"]
        lines += [f"{following} {reset}" for following, reset in self.latches]
        lines += [str(output) for output in self.outputs]
        body = bytearray()
        for index, (high, low) in enumerate(self.ands):
            for value in (2 * (first + index) - high, high - low):
                while value >= 0x80:
                    body.append(value & 0x7F | 0x80)
                    value >>= 7
                body.append(value)
        symbols = [f"i{place} {name}" for place, name in enumerate(self.inputs)]
        return b"".join(
            ("\n".join(part) + "\n").encode() if isinstance(part, list) else bytes(part)
            for part in (lines, body, symbols)
        )
