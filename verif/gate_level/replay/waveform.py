"""Values of chosen signals in each cycle, from a waveform (VCD)."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from adq.verif.gate_level.switching import SwitchingError

__all__ = ["Waveform"]

_NUMBER = re.compile(r"\$\d+$")
"""Number that Amaranth appends to a name that is taken."""


class Waveform:
    """Values of signals just before each rising edge of the clock.

    Signals are named by their scope and their name in it: ``accumulators.read``. Numbers that
    Amaranth adds to the names of instances are left out.

    Parameters
    ----------
    path
        VCD file.
    top, clock
        Scope that names begin behind, and the clock in it.
    chosen
        Whether a signal is read, by its scope and its name.

    Raises
    ------
    SwitchingError
        If the file has no such clock.
    """

    def __init__(self, path: Path, *, top: str, clock: str, chosen: Callable[[str, str], bool]):
        self.widths: dict[str, int] = {}
        codes: dict[str, list[str]] = {}
        edge = ""
        scope: list[str] = []
        changes: dict[str, list[tuple[int, int]]] = {}
        cycle = 0
        high = rises = False
        pending: list[tuple[str, str]] = []
        with path.open(encoding="ascii") as file:
            for line in file:
                word = line.split()
                if not word:
                    continue
                if word[0] == "$scope":
                    scope.append(_NUMBER.sub("", word[2].removeprefix("\\")))
                elif word[0] == "$upscope":
                    scope.pop()
                elif word[0] == "$var":
                    own = scope[scope.index(top) + 1 :] if top in scope else []
                    name = word[4].removeprefix("\\")
                    if top in scope and not own and name == clock:
                        edge = word[3]
                    if top in scope and chosen(".".join(own), name):
                        full = ".".join([*own, name])
                        self.widths[full] = int(word[2])
                        codes.setdefault(word[3], []).append(full)
                        changes[word[3]] = []
                elif word[0] == "$enddefinitions":
                    break
            if not edge:
                raise SwitchingError(f"{path}: has no clock {clock} in {top}")

            def settle() -> None:
                nonlocal cycle
                cycle += rises
                for code, value in pending:
                    changes[code].append((cycle, int(value, 2)))
                pending.clear()

            for line in file:
                first = line[0]
                if first == "#":
                    settle()
                    rises = False
                elif first in "01":
                    code = line[1:].rstrip()
                    if code == edge:
                        rises = first == "1" and not high
                        high = first == "1"
                    if code in changes:
                        pending.append((code, first))
                elif first == "b":
                    value, code = line[1:].split()
                    if code in changes:
                        pending.append((code, value.replace("x", "0")))
            settle()
        self.cycles = cycle
        self._changes = {name: changes[code] for code, names in codes.items() for name in names}

    def bits(self, name: str) -> np.ndarray:
        """Return the bits of a signal just before each edge: uint8 (cycles, width)."""
        width = self.widths[name]
        found = np.zeros((self.cycles, width), np.uint8)
        changes = self._changes[name]
        ends = [*(first for first, _ in changes[1:]), self.cycles]
        for (first, value), end in zip(changes, ends, strict=True):
            if first < end:
                octets = value.to_bytes(-(-width // 8), "little")
                found[first:end] = np.unpackbits(
                    np.frombuffer(octets, np.uint8), count=width, bitorder="little"
                )
        return found

    def counts(self, names: Iterable[str]) -> np.ndarray:
        """Return the cycles in which all of some signals of one bit are 1, as uint8 (cycles,)."""
        found = np.ones(self.cycles, np.uint8)
        for name in names:
            found &= self.bits(name)[:, 0]
        return found
