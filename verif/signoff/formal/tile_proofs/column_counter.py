"""Properties of the column counter."""

from amaranth.hdl import Assert, Cat, Cover, Elaboratable, Module

from adq.rtl.pim_tile.column_counter import ColumnCounter
from adq.verif.signoff.formal.environment import drive_inputs

__all__ = ["CountsOnes"]


class CountsOnes(Elaboratable):
    """The count of each column equals the number of its rows whose product bit is 1."""

    def __init__(self, counter: ColumnCounter):
        self.counter = counter

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = counter = self.counter
        drive_inputs(m, counter)
        for column in range(counter.parameters.columns):
            ones = sum(word[column] for word in counter.products)
            count = Cat(word[column] for word in counter.counts)
            m.d.comb += Assert(count == ones)
        m.d.comb += Cover(ones == counter.parameters.rows)
        return m
