"""Column counter: an adder tree that counts the products of each column."""

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from adq.rtl import bit_slice
from adq.rtl.adder_trees import ARITHMETICS
from adq.rtl.parameters import TileParameters
from adq.rtl.port_types import Component, Words

__all__ = ["ColumnCounter"]


class ColumnCounter(Component):
    """Counts the rows whose product is 1, in each column, with ``parameters.arithmetic``.

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
        tree = ARITHMETICS[self.parameters.arithmetic](self.parameters.rows)
        words: list[Value] = list(self.products)
        for adder in tree.adders:
            terms = [words[number] for number in adder.inputs]
            build = bit_slice.full_adder if len(terms) == 3 else bit_slice.half_adder
            words += build(m, *terms, name=adder.name)
        m.d.comb += [
            word.eq(words[number]) for word, number in zip(self.counts, tree.counts, strict=True)
        ]
        return m
