"""Population count of every column: the adder tree of the array."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.parameters import TileParameters

__all__ = ["ColumnCounter"]


class ColumnCounter(wiring.Component):
    """Count, in each column, the rows whose product is 1.

    Latency: none, the counts are of the products in the same cycle. The shift-add holds what it
    makes of neighbouring counts, which is fewer bits than the counts have.

    Members
    -------
    products : array of ``rows`` words of ``columns`` bits, In
    counts : array of ``count_width`` words of ``columns`` bits, Out
        Bit slice of the counts.
    """

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "products": In(data.ArrayLayout(parameters.columns, parameters.rows)),
                "counts": Out(data.ArrayLayout(parameters.columns, parameters.count_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counts = bit_slice.count(m, list(self.products), name="count")
        m.d.comb += [word.eq(q) for word, q in zip(self.counts, counts, strict=True)]
        return m
