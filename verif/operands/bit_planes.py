"""Bit planes of a row block, in the order in which the feeder sends them."""

import numpy as np

__all__ = ["BitPlanes"]


class BitPlanes:
    """Bit planes of a row block, in order.

    Attributes
    ----------
    words : (vectors, R), the bits that are read
    bits : bool (planes, R)
    index : (planes,), bit weight of each
    start, count : (vectors,), where the planes of each vector begin, and how many there are
    computed : bool (planes,), whether a bit is set
    ends : bool (planes,), whether it is the last of its vector
    skipped : leading planes of all vectors that cost no cycle
    """

    def __init__(self, words: np.ndarray, activation_bits: int):
        self.words = words
        highest = np.bitwise_or.reduce(words, axis=1)
        self.count = np.maximum(1, np.frexp(highest.astype(float))[1])
        self.start = np.cumsum(self.count) - self.count
        vector = np.repeat(np.arange(len(words)), self.count)
        self.index = np.arange(len(vector)) - self.start[vector]
        self.bits = (words[vector] >> self.index[:, None] & 1).astype(bool)
        self.computed = self.bits.any(axis=1)
        self.ends = np.zeros(len(vector), bool)
        self.ends[self.start + self.count - 1] = True
        self.skipped = len(words) * activation_bits - len(self.bits)
