"""Column counter: an adder tree that counts the products of each column."""

from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component, Words

__all__ = ["ColumnCounter"]


class ColumnCounter(Component):
    """Counts the rows whose product is 1, in each column.

    Latency: none (combinational). The counts are not registered here, because the shift-add
    registers the fused sums, which have fewer bits.

    Members
    -------
    products : array of ``rows`` words of ``columns`` bits, In
    counts : array of ``count_width`` words of ``columns`` bits, Out
        Counts, as a bit slice.
    """

    products: Words
    counts: Words

    def __init__(self, parameters: TileParameters):
        self.parameters = parameters
        super().__init__(
            {
                "products": In(data.ArrayLayout(parameters.columns, parameters.rows)),
                "counts": Out(data.ArrayLayout(parameters.columns, parameters.count_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counts = bit_slice.count(m, list(self.products), name="count")
        m.d.comb += [word.eq(q) for word, q in zip(self.counts, counts, strict=True)]
        return m
