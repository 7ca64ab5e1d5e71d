"""Adder trees that count ones: which words each full or half adder takes.

A tree is data, without Amaranth: :class:`adq.rtl.pim_tile.column_counter.ColumnCounter` builds it,
and the operand model counts the toggles of its nets. To add an arithmetic, write a function from
the number of words to an :class:`AdderTree` and enter it in ``ARITHMETICS``; the parameter
``arithmetic`` of a tile then takes its name.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ARITHMETICS", "Adder", "AdderTree"]


@dataclass(frozen=True)
class Adder:
    """Full adder of three words, or half adder of two.

    All words have a number. The words that are counted come first; each adder adds two, its sum and
    its carry, which has twice the weight.
    """

    name: str
    """Name of its nets, in front of ``_sum`` and ``_carry``; it differs from those of other adders
    in digits only."""
    inputs: tuple[int, ...]
    total: int
    carry: int


@dataclass(frozen=True)
class AdderTree:
    """Adders in an order in which each follows those that it reads."""

    words: int
    """Words that are counted."""
    adders: tuple[Adder, ...]
    counts: tuple[int, ...]
    """Word of each bit of the count, least significant first."""


class _Builder:
    """Numbers the words of a tree."""

    def __init__(self, words: int):
        self.words = words
        self.adders: list[Adder] = []

    def add(self, inputs: list[int], name: str) -> tuple[int, int]:
        """Append an adder; its sum and its carry."""
        total = self.words + 2 * len(self.adders)
        self.adders.append(Adder(name, tuple(inputs), total, total + 1))
        return total, total + 1

    def tree(self, counts: list[int]) -> AdderTree:
        """Return what was appended."""
        return AdderTree(self.words, tuple(self.adders), tuple(counts))


def ripple_carry(words: int) -> AdderTree:
    """Return a binary tree of ripple-carry adders.

    It has ``words - words.bit_length()`` full adders, and half adders if the number of words is not
    one less than a power of two. At each node, one word is the carry in of the adder that sums the
    counts of the two halves of the remaining words. Names give the path from the root, 0 for the
    low half and 1 for the high half at each level.
    """
    builder = _Builder(words)

    def count(words: list[int], name: str) -> list[int]:
        if len(words) == 1:
            return words
        if len(words) == 2:
            return list(builder.add(words, name))
        middle = (len(words) + 1) // 2
        low = count(words[1:middle], f"{name}0")
        high = count(words[middle:], f"{name}1")
        total = []
        carry = [words[0]]
        for place in range(len(words).bit_length()):
            terms = [*high[place : place + 1], *low[place : place + 1], *carry]
            carry = []
            if len(terms) > 1:
                each, out = builder.add(terms, f"{name}_{place}")
                terms, carry = [each], [out]
            total += terms
        return total

    return builder.tree(count(list(range(words)), "count"))


SUM_DELAY = 1.1
"""Delay of an adder's sum, in delays of its carry."""


def three_greedy(words: int) -> AdderTree:
    """Return a compressor tree whose adders take the words of a weight that arrive first.

    Three words of one weight at a time become a sum and a carry, the earliest three first (the
    three-greedy approach: P. F. Stelling, C. U. Martel, V. G. Oklobdzija and R. Ravi, "Optimal
    circuits for parallel multipliers", IEEE Trans. Computers 47(3), 1998). It has as many full
    adders as :func:`ripple_carry`. Inputs of an adder arrive together, so that it glitches less,
    and the longest path is shorter. Names give the weight and the number of the adder.
    """
    builder = _Builder(words)
    arriving: list[tuple[float, int]] = [(0.0, word) for word in range(words)]
    counts = []
    while arriving:
        heapq.heapify(arriving)
        carries: list[tuple[float, int]] = []
        while len(arriving) > 1:
            # Of an even number of words, the first two go into a half adder.
            terms = 2 if len(arriving) % 2 == 0 else 3
            taken = [heapq.heappop(arriving) for _ in range(terms)]
            latest = taken[-1][0]
            name = f"count{len(counts)}_{len(carries)}"
            total, carry = builder.add([word for _, word in taken], name)
            heapq.heappush(arriving, (latest + SUM_DELAY, total))
            carries.append((latest + 1.0, carry))
        counts.append(arriving[0][1])
        arriving = carries
    return builder.tree(counts)


ARITHMETICS: dict[str, Callable[[int], AdderTree]] = {
    "ripple_carry": ripple_carry,
    "three_greedy": three_greedy,
}
"""Adder trees by name."""
