"""Bit-sliced arithmetic: one word a bit weight, one lane a column.

A *bit slice* is a list of words, least significant first; bit ``i`` of word ``j`` is bit ``j`` of
the number in lane ``i``. Every lane computes the same, so a full adder is five bitwise operators
on whole words: it maps to the full adder cells of a library, lane by lane, and a simulator
evaluates it for a whole row of columns at once.

Sums and carries are named signals, since Amaranth copies the logic of an expression that is used
twice, and only named nets can be counted.
"""

import itertools

from amaranth.hdl import Cat, Const, Mux, Signal, Value

__all__ = [
    "add",
    "add_select",
    "count",
    "lane_value",
    "lanes_of",
    "register",
    "resize",
    "spread",
]


def full_adder(m, a, b, c, *, name: str) -> tuple[Signal, Signal]:
    """Sum and carry words of three words."""
    total = Signal(len(a), name=f"{name}_sum")
    carry = Signal(len(a), name=f"{name}_carry")
    m.d.comb += [total.eq(a ^ b ^ c), carry.eq((a & b) | (c & (a | b)))]
    return total, carry


def half_adder(m, a, b, *, name: str) -> tuple[Signal, Signal]:
    """Sum and carry words of two words."""
    total = Signal(len(a), name=f"{name}_sum")
    carry = Signal(len(a), name=f"{name}_carry")
    m.d.comb += [total.eq(a ^ b), carry.eq(a & b)]
    return total, carry


def add(m, a: list, b: list, carry=None, *, width: int, name: str) -> list[Value]:
    """Ripple-carry sum of two unsigned bit slices and a carry word, modulo ``2**width``.

    Operands shorter than ``width`` are zero-extended, without spending adders on the zeros.
    """
    total = []
    for j in range(width):
        words = [w for w in (*a[j : j + 1], *b[j : j + 1], carry) if w is not None]
        carry = None
        if len(words) == 3:
            word, carry = full_adder(m, *words, name=f"{name}_{j}")
        elif len(words) == 2:
            word, carry = half_adder(m, *words, name=f"{name}_{j}")
        else:
            word = words[0] if words else Const(0, len(total[0]))
        total.append(word)
    return total


def add_select(m, a: list, b: list, carry, *, width: int, splits: list[int], name: str):
    """The sum that ``add`` gives, and the carry above it, sooner: from each split on words are
    added for either carry at once, and the carry of those below selects.
    """
    first, *blocks = itertools.pairwise([0, *splits, width])
    total = add(m, a[: first[1]], b[: first[1]], carry, width=first[1] + 1, name=f"{name}_0")
    for low, high in blocks:
        *total, carry = total
        ones = Const(2 ** len(carry) - 1, len(carry))
        choices = [
            add(m, a[low:high], b[low:high], carried, width=high - low + 1, name=f"{name}_{low}{v}")
            for v, carried in (("a", None), ("b", ones))
        ]
        for j, (if_zero, if_one) in enumerate(zip(*choices, strict=True)):
            word = Signal(len(carry), name=f"{name}_{low + j}")
            m.d.comb += word.eq((if_zero & ~carry) | (if_one & carry))
            total.append(word)
    return total


def count(m, words: list, *, name: str) -> list[Value]:
    """Population count over ``words``, lane by lane: a tree of ``n - popcount(n)`` full adders
    (and half adders where ``n`` is not one less than a power of two).

    One word enters as the carry of the adder that joins the two halves of the others. Names of nets
    differ by digits alone: a 0 or a 1 for each half on the way from the root.
    """
    if len(words) == 1:
        return words
    if len(words) == 2:
        return list(half_adder(m, *words, name=name))
    middle = (len(words) + 1) // 2
    low = count(m, words[1:middle], name=f"{name}0")
    high = count(m, words[middle:], name=f"{name}1")
    return add(m, high, low, words[0], width=len(words).bit_length(), name=name)


def resize(words: list, width: int) -> list[Value]:
    """Sign-extend a bit slice to ``width`` words, or cut it to them."""
    return words[:width] + words[-1:] * (width - len(words))


def lanes_of(words: list, lanes: slice) -> list[Value]:
    """Some lanes of every word."""
    return [word[lanes] for word in words]


def lane_value(words: list, lane: int) -> Value:
    """The number in one lane, as a signed value."""
    return Cat(word[lane] for word in words).as_signed()


def register(m, words: list, enable, *, name: str) -> list[Signal]:
    """Registers that load ``words`` when ``enable`` is high and otherwise hold.

    They have no reset: a tag beside them says whether what they hold is meant.
    """
    stored = [Signal(len(w), name=f"{name}_{j}", reset_less=True) for j, w in enumerate(words)]
    with m.If(enable):
        m.d.sync += [q.eq(w) for q, w in zip(stored, words, strict=True)]
    return stored


def spread(bit, lanes: int) -> Value:
    """One bit in every lane of a word."""
    return Mux(bit, Const(2**lanes - 1, lanes), Const(0, lanes))
