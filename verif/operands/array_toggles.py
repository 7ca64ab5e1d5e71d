"""Toggles of the array's products, column adders and fusing adders, from row lines and weights."""

from collections.abc import Sequence

import numpy as np

from adq.rtl.adder_trees import ARITHMETICS, AdderTree
from adq.rtl.parameters import TileParameters

__all__ = ["adder_words", "array_toggles", "toggles"]

CHUNK_BYTES = 2**22
"""Products that are held at a time."""


def toggles(differences: np.ndarray) -> int:
    """Return the number of set bits in unsigned words."""
    return int(np.bitwise_count(differences).sum(dtype=np.int64))


def adder_words(a: np.ndarray, b: np.ndarray, carry: np.ndarray | int = 0) -> np.ndarray:
    """Return the carries into each bit of ``a + b + carry``, of unsigned numbers."""
    carries: np.ndarray = a ^ b ^ (a + b + carry)
    return carries


def array_toggles(
    parameters: TileParameters,
    lines: np.ndarray,
    which: np.ndarray,
    bits: np.ndarray,
    weight_bits: np.ndarray,
) -> tuple[int, int, int]:
    """Return the toggles of products, of sums and carries of the column adders, and of those of the
    fusing adders as far as octets.

    Parameters
    ----------
    lines
        Consecutive row lines (times, R).
    which
        Which of the ``bits`` each of them meets, (times,).
    bits
        Weight bits (blocks, R, C).
    weight_bits
        Of the tag at each time, (times,); 0 before any.
    """
    of_products, of_adders, of_fuser = 0, 0, 0
    # Halves of a word then are the columns that the fuser adds.
    ordered = np.ascontiguousarray(bits[:, :, parameters.sliced_columns])
    words = _packed(ordered).transpose(1, 0, 2)  # (R, blocks, words)
    step = max(2, CHUNK_BYTES * 8 // bits[0].size)
    tree = ARITHMETICS[parameters.arithmetic](parameters.rows)
    for start in range(0, len(lines), step):
        # One more than are counted: the last one of those before.
        now = slice(max(0, start - 1), start + step)
        products = lines[now].T[:, :, None] * words[:, which[now]]  # (R, times, words)
        of_products += toggles(products[:, 1:] ^ products[:, :-1])
        nets: list[np.ndarray] = []
        counts = _count(tree, list(products), nets)
        of_adders += sum(toggles(net[1:] ^ net[:-1]) for net in nets)
        of_fuser += _fuser_toggles(parameters, counts, weight_bits[now])
    return of_products, of_adders, of_fuser


def _packed(bits: np.ndarray) -> np.ndarray:
    """Pack bits (..., C) into words (..., C / word), of the widest word that divides C."""
    octets = np.packbits(bits, axis=-1)
    return octets.view(next(f"u{n}" for n in (8, 4, 2) if octets.shape[-1] % n == 0))


def _count(tree: AdderTree, words: list[np.ndarray], nets: list[np.ndarray]) -> list[np.ndarray]:
    """Return the population count as the column counter computes it, whose nets are appended to
    ``nets``.

    A carry that nothing reads is no net.
    """
    words = list(words)
    read = {number for adder in tree.adders for number in adder.inputs} | {*tree.counts}
    for adder in tree.adders:
        x, y, *z = (words[number] for number in adder.inputs)
        words.append(x ^ y ^ z[0] if z else x ^ y)
        words.append((x & y) | (z[0] & (x | y)) if z else x & y)
        nets += [words[number] for number in (adder.total, adder.carry) if number in read]
    return [words[number] for number in tree.counts]


def _add(
    a: Sequence[np.ndarray],
    b: Sequence[np.ndarray],
    carry: np.ndarray | None,
    width: int,
    nets: list[np.ndarray],
) -> list[np.ndarray]:
    """Return the sum of bit slices, whose nets are appended; see :func:`adq.rtl.bit_slice.add`. The
    last carry, which nothing reads, is no net.
    """
    total: list[np.ndarray] = []
    for place in range(width):
        terms = [*a[place : place + 1], *b[place : place + 1]]
        if carry is not None:
            terms.append(carry)
        carry = None
        if len(terms) > 1:
            x, y, *z = terms
            total.append(x ^ y ^ z[0] if z else x ^ y)
            carry = (x & y) | (z[0] & (x | y)) if z else x & y
            nets += [total[-1], carry] if place < width - 1 else total[-1:]
        else:
            total += terms
    return total


def _fuser_toggles(
    parameters: TileParameters, counts: Sequence[np.ndarray], weight_bits: np.ndarray
) -> int:
    """Return the toggles of the adders of pairs, quads and octets; see
    :class:`adq.rtl.shift_add.fuser.Fuser`.

    Counts are bit slices (times, words). Here each column has words along time in their place:
    lanes then are halved as they are in the RTL, however few they are.
    """
    p = parameters
    slices = [_along_time(np.unpackbits(word.view(np.uint8), axis=-1)) for word in counts]
    pairs = p.columns // 2
    # The widest weights whose top column is a pair's high one, by lane.
    limits = np.repeat(p.weight_widths, [pairs // 2, pairs // 4, pairs // 8, pairs // 8])
    top = _along_time((limits >= weight_bits[:, None]) & (weight_bits[:, None] > 0))
    nets: list[np.ndarray] = []
    # Bits of octets, quads and pairs that anything reads.
    octet = p.plane_width(8)
    quad = max(p.plane_width(4), p.fused_width(4) - 1, min(p.fused_width(4), octet - 4))
    pair = max(p.plane_width(2), p.fused_width(2) - 1, min(p.fused_width(2), quad - 2))
    low, high = _halves(slices)
    fused = _join(low, [*(word ^ top for word in high), top], pair, 1, top, nets)
    low, high = _halves(fused)
    fused = _join(low[: p.fused_width(2) - 1], high, quad, 2, None, nets)
    low, high = _halves(fused)
    _join(low[: p.fused_width(4) - 1], high, octet, 4, None, nets)
    return sum(_toggles_along_time(net) for net in nets)


def _join(
    low: list[np.ndarray],
    high: list[np.ndarray],
    width: int,
    shift: int,
    carry: np.ndarray | None,
    nets: list[np.ndarray],
) -> list[np.ndarray]:
    """Return the low ``width`` bits of ``low + (high + carry) * 2**shift``."""
    extended = high + high[-1:] * (width - shift - len(high))
    return low[:shift] + _add(low[shift:], extended, carry, width - shift, nets)


def _halves(words: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    middle = words[0].shape[1] // 2
    return [word[:, :middle] for word in words], [word[:, middle:] for word in words]


def _along_time(bits: np.ndarray) -> np.ndarray:
    """Return bits (times, lanes) as octets of eight times each, whose last one is repeated."""
    short = -len(bits) % 8
    return np.packbits(np.concatenate([bits, np.repeat(bits[-1:], short, axis=0)]), axis=0)


def _toggles_along_time(octets: np.ndarray) -> int:
    before = octets >> 1
    before[0] |= octets[0] & 0x80
    before[1:] |= octets[:-1] << 7
    return toggles(octets ^ before)
