"""From products of bits to the sum of products: column counter and shift-add together."""

from amaranth.hdl import (
    Array,
    Assert,
    Assume,
    Cat,
    Cover,
    Elaboratable,
    Module,
    Mux,
    Signal,
    signed,
)
from amaranth.lib import data

from rtl.parameters import TileParameters
from rtl.pim_tile.column_counter import ColumnCounter
from rtl.shift_add.segments import sums_layout
from rtl.shift_add.shift_add import ShiftAdd
from verif.formal.environment import any_value, never_reset, previous
from verif.formal.inside import Inside

__all__ = ["SumsProducts"]


class SumsProducts(Elaboratable):
    """A job of one vector, all of its weights and activations unknown, their number of bits and
    sign too: the result is the sum of the products.

    Planes enter one a cycle from the first on, and the result is taken at once: the whole job lies
    in ``cycles`` cycles, so that a proof of that depth is complete for it. In a tile with partial
    sums the accumulators hold, after each plane, the products with the activations as far as they
    have come, which is claimed as well, so that a solver meets one addition at a time.
    """

    def __init__(self, parameters: TileParameters, *, weight_bits: int, most_bits: int):
        self.parameters = parameters
        self.weight_bits = weight_bits
        self.most_bits = most_bits

    @staticmethod
    def cycles(parameters: TileParameters, *, weight_bits: int, most_bits: int) -> int:
        """Cycles from reset to that after the result."""
        # The first stage of the tile's latency, the row lines, lies before the column counter.
        return most_bits + parameters.latency(weight_bits) + 1

    def elaborate(self, platform):
        p, kw = self.parameters, self.weight_bits
        m = Module()
        shift_add = ShiftAdd(p)
        inside = Inside(shift_add)
        m.submodules.counter = counter = ColumnCounter(p)
        m.submodules.shift_add = inside.fragment
        never_reset(m)

        weights = [any_value(m, p.columns, name=f"weights_{row}") for row in range(p.rows)]
        words = [any_value(m, self.most_bits, name=f"word_{row}") for row in range(p.rows)]
        bits = any_value(m, range(self.most_bits + 1), name="bits")
        negative = any_value(m, 1, name="signed")
        m.d.comb += Assume((bits > 0) & (bits <= self.most_bits))

        # One plane a cycle: ``left`` are to come, and those above ``bits`` do not enter.
        left = Signal(range(self.most_bits + 1), init=self.most_bits)
        m.d.sync += left.eq(Mux(left == 0, 0, left - 1))
        plane, segments = Signal(p.rows), Signal(shift_add.tag.segments.shape())
        with m.Switch(left):
            for n in range(1, self.most_bits + 1):
                with m.Case(n):
                    m.d.comb += plane.eq(Cat(word[n - 1] for word in words))
        with m.Switch(bits):
            for n in range(1, self.most_bits + 1):
                with m.Case(n):
                    m.d.comb += segments.eq(p.segments(p.vector_width(kw, n)))
        tag = shift_add.tag
        m.d.comb += [
            tag.valid.eq((left > 0) & (left <= bits)),
            tag.zero.eq(plane == 0),
            tag.first.eq(left == bits),
            tag.last.eq(left == 1),
            tag.negative.eq(negative & tag.first),
            tag.first_block.eq(1),
            tag.last_block.eq(1),
            tag.last_vector.eq(1),
            tag.weight_bits.eq(1 << p.weight_widths.index(kw)),
            tag.segments.eq(segments),
            shift_add.results.ready.eq(1),
        ]
        m.d.comb += [
            counter.products[row].eq(
                Mux(plane[row], Cat(weights[row][column] for column in p.sliced_columns), 0)
            )
            for row in range(p.rows)
        ]
        m.d.comb += [a.eq(b) for a, b in zip(shift_add.counts, counter.counts, strict=True)]

        # The activations as far as they have come, and their products with the weights of one
        # output, which is unknown: what holds for it holds for all.
        output = any_value(m, range(p.outputs(kw)), name="output")
        m.d.comb += Assume(output < p.outputs(kw))
        products, prefixes = [], []
        for row, word in enumerate(weights):
            bit, first = plane[row], Mux(negative, Mux(plane[row], -1, 0), plane[row])
            prefix = Signal(signed(self.most_bits + 1), name=f"prefix_{row}")
            weight = any_value(m, signed(kw), name=f"weight_{row}")
            m.d.comb += Assume(word.word_select(output, kw) == weight.as_unsigned())
            product = Signal(signed(kw + self.most_bits), name=f"product_{row}")
            term = Mux(bit, weight, 0)
            with m.If(tag.valid):
                m.d.sync += [
                    prefix.eq(Mux(tag.first, first, Cat(bit, prefix).as_signed())),
                    product.eq(Mux(tag.first, Mux(negative, -term, term), 2 * product + term)),
                ]
            m.d.comb += Assert(product == weight * prefix)
            prefixes.append(prefix)
            products.append(product)
        # The same as they reach the accumulators, and then the results.
        stages = p.latency(kw) - 1
        chain, entered = [sum(products)], [previous(m, tag.valid, name="entered_0")]
        for stage in range(1, stages):
            chain.append(previous(m, chain[-1], name=f"products_{stage}"))
            entered.append(previous(m, entered[-1], name=f"entered_{stage}"))

        if p.partial_sums:
            sums = data.View(sums_layout(p, p.vector_width), inside["sums"])
            held = Signal(signed(p.vector_width(kw)))
            m.d.comb += held.eq(
                Array(sums[str(o * kw // 2)][: len(held)] for o in range(p.outputs(kw)))[output]
            )
            whole = Signal(held.shape())
            m.d.comb += whole.eq(chain[stages - 2])
            with m.If(entered[stages - 2]):
                for segment in range(p.segments(len(held))):
                    bits_of_it = slice(segment * p.segment, (segment + 1) * p.segment)
                    with m.If(segment < segments):
                        m.d.comb += Assert(held[bits_of_it] == whole[bits_of_it])
        with m.If(left == 0):
            for word, prefix in zip(words, prefixes, strict=True):
                with m.Switch(bits):
                    for n in range(1, self.most_bits + 1):
                        with m.Case(n):
                            value = Mux(negative, word[:n].as_signed(), word[:n])
                            m.d.comb += Assert(prefix == value)

        results = shift_add.results
        due = previous(m, left == 1, name="due_0")
        for stage in range(1, stages):
            due = previous(m, due, name=f"due_{stage}")
        m.d.comb += Assert(results.valid == due)
        with m.If(results.valid):
            lanes = [results.payload.outputs[o * kw // 2] for o in range(p.outputs(kw))]
            m.d.comb += Assert(Array(lanes)[output] == chain[stages - 1])
            m.d.comb += [
                Assert(results.payload.last),
                Assert(results.payload.status.as_value() == 0),
            ]
        m.d.comb += [
            Cover(due & (bits == n) & (negative == sign))
            for n in range(1, self.most_bits + 1)
            for sign in (0, 1)
        ]
        return m
