"""Runs of ones and of zeros at the low end of a number: how far a carry or a borrow goes."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LowRuns"]


class LowRuns(wiring.Component):
    """Of each word of a bit slice, whether it and all words below are 1, or are 0, lane by lane.

    A component of its own, which synthesis maps by itself: the carry that these are for comes late
    and must not end up in their chains.

    Latency: none.

    Members
    -------
    words : array of ``width`` words of ``lanes`` bits, In
    live : array of ``width`` words of ``lanes`` bits, In
        Words that no run of zeros enters where they are low.
    ones, zeros : array of ``width`` words of ``lanes`` bits, Out
    """

    def __init__(self, *, lanes: int, width: int):
        words = data.ArrayLayout(lanes, width)
        super().__init__(
            {"words": In(words), "live": In(words), "ones": Out(words), "zeros": Out(words)}
        )

    def elaborate(self, platform):
        m = Module()
        ones = zeros = None
        for j, word in enumerate(self.words):
            m.d.comb += [
                self.ones[j].eq(word if ones is None else word & ones),
                self.zeros[j].eq(~word if zeros is None else ~word & zeros & self.live[j]),
            ]
            ones, zeros = self.ones[j], self.zeros[j]
        return m
