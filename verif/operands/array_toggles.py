"""Toggles of the array's products and column adders, computed from word lines and weights."""

import numpy as np

__all__ = ["array_toggles", "toggles"]

CHUNK_BYTES = 2**22
"""Products that are held at a time."""


def toggles(differences: np.ndarray) -> int:
    """Return the number of set bits in unsigned words."""
    return int(np.bitwise_count(differences).sum(dtype=np.int64))


def array_toggles(lines: np.ndarray, which: np.ndarray, bits: np.ndarray) -> tuple[int, int]:
    """Return the toggles of products, and of sums and carries of the column adders.

    Parameters
    ----------
    lines
        Consecutive row lines (times, R).
    which
        Which of the ``bits`` each of them meets, (times,).
    bits
        Weight bits (blocks, R, C).
    """
    of_products, of_adders = 0, 0
    words = _packed(bits).transpose(1, 0, 2)  # (R, blocks, words)
    step = max(2, CHUNK_BYTES * 8 // bits[0].size)
    for start in range(0, len(lines), step):
        # One more than are counted: the last one of those before.
        now = slice(max(0, start - 1), start + step)
        products = lines[now].T[:, :, None] * words[:, which[now]]  # (R, times, words)
        of_products += toggles(products[:, 1:] ^ products[:, :-1])
        nets: list[np.ndarray] = []
        _count(list(products), nets)
        of_adders += sum(toggles(net[1:] ^ net[:-1]) for net in nets)
    return of_products, of_adders


def _packed(bits: np.ndarray) -> np.ndarray:
    """Pack bits (..., C) into words (..., C / word), of the widest word that divides C."""
    octets = np.packbits(bits, axis=-1)
    return octets.view(next(f"u{n}" for n in (8, 4, 2) if octets.shape[-1] % n == 0))


def _count(words: list[np.ndarray], nets: list[np.ndarray]) -> list[np.ndarray]:
    """Population count as the column counter computes it, whose nets are appended to ``nets``; see
    :func:`adq.rtl.bit_slice.count`.
    """
    if len(words) == 1:
        return words
    if len(words) == 2:
        nets += [words[0] ^ words[1], words[0] & words[1]]
        return nets[-2:]
    middle = (len(words) + 1) // 2
    low, high = _count(words[1:middle], nets), _count(words[middle:], nets)
    total: list[np.ndarray] = []
    carry: np.ndarray | None = words[0]
    for place in range(len(words).bit_length()):
        terms = [*high[place : place + 1], *low[place : place + 1]]
        if carry is not None:
            terms.append(carry)
        carry = None
        if len(terms) > 1:
            a, b, *c = terms
            total.append(a ^ b ^ c[0] if c else a ^ b)
            carry = (a & b) | (c[0] & (a | b)) if c else a & b
            nets += [total[-1], carry]
        else:
            total += terms
    return total
