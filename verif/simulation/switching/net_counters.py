"""Counters of every net of a design inside the simulation, window by window.

``net_counters.sv`` counts; here stands which net is which. Beside the nets it
counts clock enables of register bits, and the cycles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "INPUTS",
    "WINDOWS",
    "NetCounters",
    "NetWord",
    "WindowCounts",
    "escaped",
    "runs",
    "split",
]

WINDOWS = ("idle", "reset", "load", "compute")
"""Windows in the order of the input that names them. In the first the tile has nothing to do."""

INPUTS = "inputs"
"""Stands for the block of nets that others drive."""

COUNT_BITS = 28
"""Bits of a count: a dump must come at least every 2**28 cycles."""

WORD = 64


@dataclass(frozen=True)
class NetWord:
    """Up to 64 nets that are counted together.

    Attributes
    ----------
    block : str
    expression : str
        In Verilog, the first net lowest.
    nets : tuple of tuple of str
        Path of each net: instances, then its name, with its index where it is a bit of a vector.
    """

    block: str
    expression: str
    nets: tuple[tuple[str, ...], ...]


def _merged(words: Iterable[NetWord]) -> list[NetWord]:
    """Return fewer words: words of a block are joined as long as they fit."""
    merged: list[NetWord] = []
    for word in sorted(words, key=lambda word: word.block):
        last = merged[-1] if merged else None
        if last and last.block == word.block and len(last.nets) + len(word.nets) <= WORD:
            both = f"{word.expression}, {last.expression}"
            merged[-1] = NetWord(word.block, both, last.nets + word.nets)
        else:
            merged.append(word)
    return merged


def escaped(name: str) -> str:
    """Return a name as a Verilog identifier, escaped if necessary."""
    return f"\\{name} "


def runs(name: str, indices: Sequence[int], width: int) -> str:
    """Return a net, or the selected parts of it, as a Verilog expression."""
    if len(indices) == width:
        return escaped(name)
    parts: list[list[int]] = []
    for index in indices:
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    # The last index comes first in a concatenation.
    slices = [f"{escaped(name)}[{last}:{first}]" for first, last in reversed(parts)]
    return slices[0] if len(slices) == 1 else "{" + ", ".join(slices) + "}"


def split(
    name: str, path: Sequence[str], indices: Sequence[int], width: int, block: str
) -> list[NetWord]:
    """Split the selected bits of a net into words."""
    *instances, last = path
    # What Amaranth had no name for begins with a character that SAIF does not allow there.
    last = last.lstrip("$")
    words = []
    for start in range(0, len(indices), WORD):
        part = indices[start : start + WORD]
        nets = [(*instances, f"{last}[{i}]" if width > 1 else last) for i in part]
        words.append(NetWord(block, runs(name, part, width), tuple(nets)))
    return words


@dataclass(frozen=True)
class WindowCounts:
    """Counts of a window.

    Attributes
    ----------
    cycles : int
    high, toggles : dict of tuple of str to int
        Cycles in which each net was high, and in which it differed from the cycle before.
    clocked : dict of str to int
        Register bits of each block whose clock was enabled, summed over the cycles.
    """

    cycles: int
    high: dict[tuple[str, ...], int]
    toggles: dict[tuple[str, ...], int]
    clocked: dict[str, int]


@dataclass(frozen=True)
class NetCounters:
    """Counters of nets and of clock enables.

    Attributes
    ----------
    words : tuple of NetWord
        Every net once.
    enables : tuple of (str, str, int)
        Of each group of registers its block, its clock enable in Verilog, and its bits.
    """

    words: tuple[NetWord, ...]
    enables: tuple[tuple[str, str, int], ...]

    @classmethod
    def of(
        cls, words: Iterable[NetWord], clocked: Mapping[str, Sequence[tuple[str, int]]]
    ) -> "NetCounters":
        """Create counters for these words, and for the clock enables of each block with their
        register bits.
        """
        bits: dict[tuple[str, str], int] = {}
        for block, groups in clocked.items():
            for enable, width in groups:
                bits[block, enable] = bits.get((block, enable), 0) + width
        enables = tuple((*key, width) for key, width in bits.items())
        return cls(tuple(_merged(words)), enables)

    @property
    def blocks(self) -> dict[tuple[str, ...], str]:
        """Block of each net."""
        return {net: word.block for word in self.words for net in word.nets}

    def _enable_words(self) -> list[list[tuple[str, str, int]]]:
        return [list(self.enables[i : i + WORD]) for i in range(0, len(self.enables), WORD)]

    @property
    def size(self) -> int:
        """Number of 64-bit words that are counted. The last one is high in every cycle."""
        return len(self.words) + len(self._enable_words()) + 1

    def verilog(self) -> list[str]:
        """Return the lines of a module with the inputs ``clk``, ``window`` and ``dump``."""
        words = [(len(word.nets), word.expression) for word in self.words]
        for group in self._enable_words():
            words.append((len(group), ", ".join(enable for _, enable, _ in reversed(group))))
        words.append((1, "1'b1"))
        lines = [f"  wire [{WORD * self.size - 1}:0] counted_nets;"]
        for place, (width, expression) in enumerate(words):
            padding = f"{WORD - width}'b0, " if width < WORD else ""
            slice_ = f"{WORD * place + WORD - 1}:{WORD * place}"
            lines.append(f"  assign counted_nets[{slice_}] = {{{padding}{expression}}};")
        return [
            *lines,
            f"  net_counters #(.WORDS({self.size}), .WINDOWS({len(WINDOWS)}), "
            f".COUNT_BITS({COUNT_BITS})) net_counters (",
            "      .clk, .window, .dump, .nets(counted_nets));",
        ]

    def read(self, dump: str) -> dict[str, WindowCounts]:
        """Parse a dump into counts by window.

        Raises
        ------
        ValueError
            If a line is none that these counters write.
        """
        # Windows, toggles and high, words, nets.
        counts = np.zeros((len(WINDOWS), 2, self.size, WORD), np.int64)
        for line in dump.splitlines():
            at, value = line.split()
            entry, word = divmod(int(at), self.size)
            group, bit = divmod(entry, COUNT_BITS)
            octets = np.frombuffer(int(value, 16).to_bytes(WORD // 8, "little"), np.uint8)
            nets = np.unpackbits(octets, bitorder="little").astype(np.int64)
            counts[*divmod(group, 2), word] += nets << bit

        windows = {}
        for window, title in enumerate(WINDOWS):
            toggles, high = counts[window].tolist()
            clocked: dict[str, int] = {}
            enables = zip(self._enable_words(), high[len(self.words) :], strict=False)
            for registers, cycles in enables:
                for (block, _, width), times in zip(registers, cycles, strict=False):
                    clocked[block] = clocked.get(block, 0) + width * times
            windows[title] = WindowCounts(
                cycles=high[-1][0],
                high=self._by_net(high),
                toggles=self._by_net(toggles),
                clocked=clocked,
            )
        return windows

    def _by_net(self, counts: list[list[int]]) -> dict[tuple[str, ...], int]:
        return {
            net: count
            for word, of_word in zip(self.words, counts, strict=False)
            for net, count in zip(word.nets, of_word, strict=False)
        }
