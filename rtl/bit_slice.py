"""Bit-sliced arithmetic: one word per bit weight, one lane per column.

A *bit slice* is a list of words, least significant first. Bit ``i`` of word ``j`` is bit ``j`` of
the number in lane ``i``. All lanes perform the same operation, so a full adder is five bitwise
operators on whole words. Each lane maps to a full-adder cell of the library, and a simulator
evaluates all lanes at once.

All functions build combinational logic except :func:`register`.

Sums and carries are named signals for two reasons: Amaranth duplicates the logic of an expression
that is used twice, and only named nets can be counted.
"""

import itertools
from collections.abc import Iterable, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

__all__ = [
    "add",
    "add_select",
    "full_adder",
    "half_adder",
    "lane_value",
    "lanes_of",
    "register",
    "resize",
    "spread",
]


def full_adder(m: Module, a: Value, b: Value, c: Value, *, name: str) -> tuple[Signal, Signal]:
    """Return the sum and carry words of three words."""
    total = Signal(len(a), name=f"{name}_sum")
    carry = Signal(len(a), name=f"{name}_carry")
    m.d.comb += [total.eq(a ^ b ^ c), carry.eq((a & b) | (c & (a | b)))]
    return total, carry


def half_adder(m: Module, a: Value, b: Value, *, name: str) -> tuple[Signal, Signal]:
    """Return the sum and carry words of two words."""
    total = Signal(len(a), name=f"{name}_sum")
    carry = Signal(len(a), name=f"{name}_carry")
    m.d.comb += [total.eq(a ^ b), carry.eq(a & b)]
    return total, carry


def add(
    m: Module,
    a: Sequence[Value],
    b: Sequence[Value],
    carry: Value | None = None,
    *,
    width: int,
    name: str,
) -> list[Value]:
    """Return the ripple-carry sum of two unsigned bit slices and a carry word.

    The sum is modulo ``2**width``. Operands shorter than ``width`` are zero-extended; no adders are
    spent on the zeros.
    """
    total: list[Value] = []
    word: Value
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


def add_select(
    m: Module,
    a: Sequence[Value],
    b: Sequence[Value],
    carry: Value,
    *,
    width: int,
    splits: Sequence[int],
    name: str,
) -> list[Value]:
    """Return the sum of :func:`add` and the carry out, computed by a carry-select adder.

    The adder is divided into blocks at the word indices ``splits``. Each block above the first is
    computed for a carry in of 0 and of 1, and the carry out of the block below selects a result.
    The critical path is shorter than in :func:`add`, at the cost of more adders.
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


def resize(words: list[Value], width: int) -> list[Value]:
    """Sign-extend or truncate a bit slice to ``width`` words."""
    return words[:width] + words[-1:] * (width - len(words))


def lanes_of(words: Iterable[Value], lanes: slice) -> list[Value]:
    """Return a bit slice of the selected lanes."""
    return [word[lanes] for word in words]


def lane_value(words: Iterable[Value], lane: int) -> Value:
    """Return the number in one lane as a signed value."""
    return Cat(word[lane] for word in words).as_signed()


def register(m: Module, words: Sequence[Value], enable: Value, *, name: str) -> list[Signal]:
    """Return registers that load ``words`` when ``enable`` is high and hold otherwise.

    Latency: one cycle. The registers have no reset, because the tag in the same pipeline stage
    says whether their contents are valid.
    """
    stored = [Signal(len(w), name=f"{name}_{j}", reset_less=True) for j, w in enumerate(words)]
    with m.If(enable):
        m.d.sync += [q.eq(w) for q, w in zip(stored, words, strict=True)]
    return stored


def spread(bit: Value, lanes: int) -> Value:
    """Return a word of ``lanes`` copies of a bit."""
    return Mux(bit, Const(2**lanes - 1, lanes), Const(0, lanes))
